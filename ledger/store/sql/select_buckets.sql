-- Whole buckets, each as one value: key and stream value of every stream, 32 bytes each, in the order of the keys.
SELECT given.bucket, whole.pairs
FROM unnest(%(buckets)b::integer[]) AS given (bucket)
CROSS JOIN LATERAL (
    SELECT string_agg(h.key || h.value, ''::bytea ORDER BY h.key) AS pairs
    FROM ledger.stream_head h WHERE h.bucket = given.bucket
) AS whole
WHERE whole.pairs IS NOT NULL
