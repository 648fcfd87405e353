-- Many streams' entries up to a position, and of the terms those that come after the first so many: each stream in order.
SELECT position, stream, entry FROM ledger.log_entry
WHERE stream = ANY (%(streams)b::text[]) AND position <= %(until)s
UNION ALL
SELECT position, stream, entry FROM ledger.log_entry
WHERE stream = 'terms' AND version > %(known_terms)s AND position <= %(until)s
ORDER BY position
