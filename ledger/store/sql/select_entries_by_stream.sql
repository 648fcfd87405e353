-- One page of the log stream by stream, its entries as one value: as rows they would cost their reader twice as much.
SELECT array_agg(entry ORDER BY stream, version),
       max(stream),
       (array_agg(version ORDER BY stream, version))[count(*)]
FROM (
    SELECT stream, version, entry
    FROM ledger.log_entry
    WHERE (stream, version) > (%(stream)s, %(version)s) AND position <= %(until)s
    ORDER BY stream, version
    LIMIT %(limit)s
) page
