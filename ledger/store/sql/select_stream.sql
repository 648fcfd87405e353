-- One stream's entries in a range of versions.
SELECT position, stream, version, event, entry
FROM ledger.log_entry
WHERE stream = %(stream)s AND version > %(after)s AND version <= %(until)s
ORDER BY version
