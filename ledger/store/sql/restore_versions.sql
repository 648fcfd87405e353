-- The first entry that is not the next of its stream.
SELECT position, stream, version, expected
FROM (
    SELECT position, stream, version, row_number() OVER (PARTITION BY stream ORDER BY position) AS expected
    FROM ledger.log_entry
) numbered
WHERE version <> expected
ORDER BY position
LIMIT 1
