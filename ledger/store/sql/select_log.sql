-- One page of the log, by key: the next page starts after the last position of this one.
SELECT position, stream, version, event, entry
FROM ledger.log_entry
WHERE position > %(after)s AND position <= %(until)s
  AND (%(events)s::text[] IS NULL OR event = ANY (%(events)s::text[]))
ORDER BY position
LIMIT %(limit)s
