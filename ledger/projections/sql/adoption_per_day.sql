-- How many first met some terms on each day, and what they did then or later; of those who are not erased.
SELECT (began AT TIME ZONE 'UTC')::date AS day, plan, surface,
       count(*) FILTER (WHERE shown), count(*) FILTER (WHERE accepted), count(*) FILTER (WHERE accepted_on),
       count(*) FILTER (WHERE accepted_untouched), count(*) FILTER (WHERE turned_off_later),
       percentile_cont(0.5) WITHIN GROUP (ORDER BY decide_seconds)
FROM {table}
WHERE NOT gone
    AND began >= %(since)s::date::timestamp AT TIME ZONE 'UTC' AND began < %(until)s::date::timestamp AT TIME ZONE 'UTC'
GROUP BY day, plan, surface
ORDER BY day, plan, surface
