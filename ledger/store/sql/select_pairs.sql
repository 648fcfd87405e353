-- What lies between two keys of a bucket, each as one value: key and stream value of every stream, 32 bytes each, in the
-- order of the keys. The bucket is asked for so that the planner sees how little it is.
SELECT given.number, whole.pairs
FROM unnest(%(buckets)b::integer[], %(firsts)b::bytea[], %(lasts)b::bytea[])
     WITH ORDINALITY AS given (bucket, first, last, number)
CROSS JOIN LATERAL (
    SELECT string_agg(h.key || h.value, ''::bytea ORDER BY h.key) AS pairs
    FROM ledger.stream_head h
    WHERE h.bucket = given.bucket AND h.key BETWEEN given.first AND given.last
) AS whole
WHERE whole.pairs IS NOT NULL
