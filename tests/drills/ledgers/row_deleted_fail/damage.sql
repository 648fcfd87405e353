DELETE FROM ledger.log_entry WHERE position = 5;
