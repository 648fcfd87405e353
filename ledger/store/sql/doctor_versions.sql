-- Where a stream is not 1 ... m in the order of the positions, or its times fall.
SELECT stream || ' version ' || version || ' at position ' || position
FROM (
    SELECT stream, version, position, recorded_at,
           lag(version, 1, 0::bigint) OVER of_stream AS last_version,
           lag(position, 1, 0::bigint) OVER of_stream AS last_position,
           lag(recorded_at) OVER of_stream AS last_recorded
    FROM ledger.log_entry
    WHERE position <= %(until)s
    WINDOW of_stream AS (PARTITION BY stream ORDER BY version)
) AS following
WHERE version <> last_version + 1 OR position < last_position OR recorded_at < last_recorded
LIMIT %(limit)s
