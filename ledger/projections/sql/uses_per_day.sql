-- Items used by day (UTC, as recorded), from one day to before another.
SELECT (l.recorded_at AT TIME ZONE 'UTC')::date AS day, count(DISTINCT u.run), count(*), sum(u.item_count)::bigint
FROM {table} u
JOIN ledger.log_entry l USING (position)
WHERE NOT u.gone AND l.recorded_at >= %(since)s::date::timestamp AT TIME ZONE 'UTC'
    AND l.recorded_at < %(until)s::date::timestamp AT TIME ZONE 'UTC'
GROUP BY 1 ORDER BY 1
