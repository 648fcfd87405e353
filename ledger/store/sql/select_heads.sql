-- Of these streams those that the map has, found one by one: the planner must not read the whole table for them.
SELECT found.key, found.length, found.head
FROM unnest(%(buckets)b::integer[], %(keys)b::bytea[]) AS given (bucket, key)
CROSS JOIN LATERAL (
    SELECT h.key, h.length, h.head FROM ledger.stream_head h
    WHERE h.bucket = given.bucket AND h.key = given.key LIMIT 1
) AS found
