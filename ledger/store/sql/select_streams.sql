-- Many streams' entries, each whole and in order, up to a position.
SELECT position, stream, version, event, entry
FROM ledger.log_entry
WHERE stream = ANY (%(streams)b::text[]) AND position <= %(until)s
ORDER BY stream, version
