-- The items as the verdicts need them: what cannot be read, and what one name says twice and differently.
CREATE TABLE item AS
WITH named AS (
    SELECT "row", subject, item, collected, coalesce(nullif(given.kind, ''), run.kind) AS kind,
           nullif(plan, '') AS plan, nullif(exclude, '') AS exclude
    FROM given CROSS JOIN run
), twice AS (
    SELECT item FROM named WHERE item IS NOT NULL GROUP BY item
    HAVING min(subject) <> max(subject) OR min(collected) <> max(collected) OR min(kind) <> max(kind)
        -- One of them missing is a difference too.
        OR count(subject) NOT IN (0, count(*)) OR count(collected) NOT IN (0, count(*))
)
SELECT named.*,
       CASE
           -- 1 to 512 characters without control characters (FORMATS.md, section 6).
           WHEN named.item IS NULL OR NOT regexp_full_match(named.item, '[^\x00-\x1f\x7f-\x{9f}]{1,512}')
               THEN 'item missing or unreadable'
           WHEN named.subject IS NULL OR NOT regexp_full_match(named.subject, '[^\x00-\x1f]{1,512}')
               THEN 'subject missing or unreadable'
           -- 1970 to 9999 (FORMATS.md, section 1).
           WHEN collected IS NULL OR collected NOT BETWEEN 0 AND 253402300799999999
               THEN 'time missing or unreadable'
       END AS unreadable,
       twice.item IS NOT NULL AS ambiguous
FROM named LEFT JOIN twice ON twice.item = named.item;
