DELETE FROM ledger.log_entry WHERE position = 5;
UPDATE ledger.log_entry SET position = position - 1 WHERE position = 6;
