-- The tables that have applied all of the log.
SELECT tables FROM ledger.projection WHERE position >= (SELECT coalesce(max(position), 0) FROM ledger.log_entry)
