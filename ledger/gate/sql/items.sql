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
           WHEN named.item IS NULL OR length(named.item) NOT BETWEEN 1 AND 512
                OR regexp_like(named.item, '[\x00-\x1f\x7f-\x{9f}]')
               THEN 'item missing or unreadable'
           -- An identity, id: or key: (design, section 10), as store/identities.py reads them.
           WHEN subject IS NULL OR length(subject) NOT BETWEEN 1 AND 512 OR regexp_like(subject, '[\x00-\x1f]')
                OR (subject LIKE 'id:%' AND NOT regexp_like(subject, '\Aid:[0-9a-f]{32}\z'))
                OR (subject LIKE 'key:%' AND NOT regexp_like(subject, '\Akey:[0-9a-f]{64}\z'))
               THEN 'subject missing or unreadable'
           -- 1970 to 9999 (FORMATS.md, section 1).
           WHEN collected IS NULL OR collected NOT BETWEEN 0 AND 253402300799999999
               THEN 'time missing or unreadable'
       END AS unreadable,
       twice.item IS NOT NULL AS ambiguous
FROM named LEFT JOIN twice ON twice.item = named.item;
