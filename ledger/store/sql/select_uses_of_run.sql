-- One page of a run's uses, by position; all lie after its run-started.
SELECT position, stream, version, event, entry
FROM ledger.log_entry
WHERE position > %(after)s AND event = 'data-used-for-training'
  AND convert_from(entry, 'UTF8')::jsonb #>> '{data,run}' = %(run)s
ORDER BY position
LIMIT %(limit)s
