-- One page of the log up to a position, stream by stream: the next starts after the last row of this one.
SELECT stream, version, position, entry FROM ledger.log_entry
WHERE (stream, version) > (%(stream)s, %(version)s) AND position <= %(until)s AND event = ANY (%(topics)s)
ORDER BY stream, version
LIMIT %(limit)s
