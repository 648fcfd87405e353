-- One page of the log with every column.
SELECT position, stream, version, event, recorded_at, imported, entry, leaf
FROM ledger.log_entry
WHERE position > %(after)s AND position <= %(until)s
ORDER BY position
LIMIT %(limit)s
