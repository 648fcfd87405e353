-- The streams that have entries after one position and up to another, each whole from `since` on, and in order.
-- A lateral join, for it reads by stream whatever the planner thinks of the numbers: never the whole log.
WITH touched AS MATERIALIZED (
    SELECT DISTINCT stream FROM ledger.log_entry
    WHERE position > %(after)s AND position <= %(until)s AND event = ANY (%(topics)s)
)
SELECT touched.stream, history.position, history.entry
FROM touched CROSS JOIN LATERAL (
    SELECT position, version, entry FROM ledger.log_entry
    WHERE stream = touched.stream AND position > %(since)s AND position <= %(until)s AND event = ANY (%(topics)s)
    ORDER BY version
) AS history
ORDER BY touched.stream, history.version
