-- The last version of a stream and when it was recorded.
SELECT version, recorded_at FROM ledger.log_entry WHERE stream = %(stream)s ORDER BY version DESC LIMIT 1
