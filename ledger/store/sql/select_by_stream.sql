-- One page of the log stream by stream: the next page starts after the last place of this one.
SELECT position, stream, version, event, entry
FROM ledger.log_entry
WHERE (stream, version) > (%(stream)s, %(version)s) AND position <= %(until)s
ORDER BY stream, version
LIMIT %(limit)s
