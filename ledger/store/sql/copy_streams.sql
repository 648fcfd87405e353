-- Many streams up to a position, for a bulk engine: times in microseconds since 1970, uses without their bytes.
COPY (
    SELECT stream, version, event, CAST(extract(epoch FROM recorded_at) * 1000000 AS bigint),
           CASE WHEN event <> 'data-used-for-training' THEN convert_from(entry, 'UTF8') END
    FROM ledger.log_entry
    WHERE stream = ANY ({streams}) AND position <= {until}
) TO STDOUT (FORMAT csv)
