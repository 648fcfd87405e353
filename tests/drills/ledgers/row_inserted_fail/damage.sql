UPDATE ledger.log_entry SET position = 7 WHERE position = 6;
UPDATE ledger.log_entry SET position = 6, version = 4 WHERE position = 5;
INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry)
SELECT 5, stream, 3, event, recorded_at, imported,
       convert_to(replace(convert_from(entry, 'UTF8'), '"version":2', '"version":3'), 'UTF8')
FROM ledger.log_entry WHERE position = 4;
