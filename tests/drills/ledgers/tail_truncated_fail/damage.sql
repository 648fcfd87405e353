DELETE FROM ledger.log_entry WHERE position > 4;
