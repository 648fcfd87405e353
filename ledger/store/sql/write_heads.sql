-- Streams that are new or have grown.
INSERT INTO ledger.stream_head (bucket, key, length, head)
SELECT bucket, key, length, head
FROM unnest(%(buckets)b::integer[], %(keys)b::bytea[], %(lengths)b::bigint[], %(heads)b::bytea[])
     AS given (bucket, key, length, head)
ON CONFLICT (bucket, key) DO UPDATE SET length = excluded.length, head = excluded.head
