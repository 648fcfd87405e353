-- The highest position of the log; 0 while it is empty.
SELECT coalesce(max(position), 0) FROM ledger.log_entry
