UPDATE ledger.log_entry SET position = 99 WHERE position = 3;
UPDATE ledger.log_entry SET position = 3 WHERE position = 4;
UPDATE ledger.log_entry SET position = 4 WHERE position = 99;
