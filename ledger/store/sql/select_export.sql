-- One page of what an export selects, by key: the next page starts after the last position of this one.
SELECT position, entry
FROM ledger.log_entry
WHERE position > %(after)s AND position <= %(until)s
  AND (%(events)s::text[] IS NULL OR event = ANY (%(events)s::text[]))
  AND (%(streams)s::text[] IS NULL OR stream = ANY (%(streams)s::text[]))
  AND (%(recorded_from)s::timestamptz IS NULL OR recorded_at >= %(recorded_from)s::timestamptz)
  AND (%(recorded_until)s::timestamptz IS NULL OR recorded_at <= %(recorded_until)s::timestamptz)
ORDER BY position
LIMIT %(limit)s
