-- Whom the items name, each once, and which of it is no identity, id: or key: (design, section 10), as
-- store/identities.py reads them. Its number stands for it wherever there is a row an item.
CREATE TABLE identity AS
SELECT row_number() OVER (ORDER BY subject) AS number, subject,
       length(subject) BETWEEN 1 AND 512 AND NOT regexp_like(subject, '[\x00-\x1f]')
       AND NOT (subject LIKE 'id:%' AND NOT regexp_like(subject, '\Aid:[0-9a-f]{32}\z'))
       AND NOT (subject LIKE 'key:%' AND NOT regexp_like(subject, '\Akey:[0-9a-f]{64}\z')) AS is_readable
FROM (SELECT DISTINCT subject FROM given WHERE subject IS NOT NULL) named;

-- The items' names that stand for different things.
CREATE TABLE twice AS
WITH repeated AS (
    -- Numbers first, in place of texts: most names come once, and then there is little left to look at.
    SELECT xxhash64(item) AS number FROM given WHERE item IS NOT NULL GROUP BY ALL HAVING count(*) > 1
), named AS (
    SELECT item, subject, collected, coalesce(nullif(given.kind, ''), run.kind) AS kind
    FROM given CROSS JOIN run
    WHERE item IS NOT NULL AND xxhash64(item) IN (SELECT number FROM repeated)
)
SELECT item FROM named GROUP BY item
HAVING min(subject) <> max(subject) OR min(collected) <> max(collected) OR min(kind) <> max(kind)
    -- One of them missing is a difference too.
    OR count(subject) NOT IN (0, count(*)) OR count(collected) NOT IN (0, count(*));

-- The items as the verdicts need them: what cannot be read, and what one name says twice and differently. `own` is all
-- that the input says of it.
CREATE VIEW item AS
SELECT given."row", given.own, given.subject, identity.number AS identity, given.item, given.collected,
       coalesce(nullif(given.kind, ''), run.kind) AS kind,
       nullif(given.plan, '') AS plan, nullif(given.exclude, '') AS exclude,
       CASE
           -- 1 to 512 characters without control characters (FORMATS.md, section 6).
           WHEN given.item IS NULL OR length(given.item) NOT BETWEEN 1 AND 512
                OR regexp_like(given.item, '[\x00-\x1f\x7f-\x{9f}]')
               THEN 'item missing or unreadable'
           WHEN identity.is_readable IS NOT TRUE THEN 'subject missing or unreadable'
           -- 1970 to 9999 (FORMATS.md, section 1).
           WHEN given.collected IS NULL OR given.collected NOT BETWEEN 0 AND 253402300799999999
               THEN 'time missing or unreadable'
       END AS unreadable,
       twice.item IS NOT NULL AS ambiguous
FROM given
CROSS JOIN run
LEFT JOIN identity ON identity.subject = given.subject
LEFT JOIN twice ON twice.item = given.item;
