-- Each stream's time cut where its answer may change: within one span every item has the same basis, or the same
-- reason to have none, and the same plan. So an item meets one row, however often its person changed their mind.
CREATE TABLE span AS
WITH carried_plan AS (
    SELECT stream, version, recorded, get_json_object(json, '$.data.plan') AS plan
    FROM entry WHERE get_json_object(json, '$.data.plan') IS NOT NULL
), cut AS (
    -- Items lie after 1970; before everything means from there.
    SELECT DISTINCT stream, CAST(-1 AS BIGINT) AS begins FROM entry
    UNION SELECT stream, start FROM decision
    UNION SELECT stream, ends FROM granted_interval WHERE ends IS NOT NULL
    UNION SELECT stream, recorded FROM carried_plan
), piece AS (
    SELECT stream, begins, lead(begins, 1, 9223372036854775807) OVER (PARTITION BY stream ORDER BY begins) AS until
    FROM cut
), basis AS (
    -- Of the grants that cover it, the one that starts last, the higher version on a tie.
    SELECT piece.stream, piece.begins, max_by(i.version, (i.start, i.version)) AS version
    FROM piece JOIN granted_interval i
        ON i.stream = piece.stream AND i.denied IS NULL AND i.start <= piece.begins
        AND (i.ends IS NULL OR piece.begins < i.ends)
    GROUP BY piece.stream, piece.begins
), denied AS (
    SELECT piece.stream, piece.begins, max_by(i.denied, (i.start, i.version)) AS denied
    FROM piece JOIN granted_interval i
        ON i.stream = piece.stream AND i.denied IN ('no-notice', 'untouched-default') AND i.start <= piece.begins
        AND (i.ends IS NULL OR piece.begins < i.ends)
    GROUP BY piece.stream, piece.begins
), begun AS (
    SELECT stream,
           min(start) FILTER (WHERE is_on AND denied IS NULL) AS grant_start,
           min(start) FILTER (WHERE NOT is_on AND at_accept) AS refusal_start,
           min(start) FILTER (WHERE NOT is_on) AS withdrawal_start
    FROM decision GROUP BY stream
), plan AS (
    SELECT piece.stream, piece.begins, max_by(p.plan, (p.recorded, p.version)) AS plan
    FROM piece JOIN carried_plan p ON p.stream = piece.stream AND p.recorded <= piece.begins
    GROUP BY piece.stream, piece.begins
)
SELECT record.number, piece.begins, piece.until, plan.plan,
       g.version AS basis, g.terms, g.ends,
       CASE WHEN g.operated THEN 'explicit' WHEN g.version IS NOT NULL THEN 'default-untouched' END AS quality,
       denied.denied AS denied,
       CASE
           WHEN g.version IS NOT NULL THEN NULL
           WHEN denied.denied IS NOT NULL THEN 'default-not-accepted'
           WHEN begun.grant_start <= piece.begins THEN 'collected-while-off'
           WHEN begun.refusal_start <= piece.begins THEN 'refused-at-accept'
           WHEN begun.withdrawal_start <= piece.begins THEN 'collected-while-off'
           ELSE 'collected-before-grant'
       END AS uncovered
FROM piece
JOIN record ON record.stream = piece.stream
LEFT JOIN basis ON basis.stream = piece.stream AND basis.begins = piece.begins
LEFT JOIN granted_interval g ON g.stream = basis.stream AND g.version = basis.version
LEFT JOIN denied ON denied.stream = piece.stream AND denied.begins = piece.begins
LEFT JOIN plan ON plan.stream = piece.stream AND plan.begins = piece.begins
LEFT JOIN begun ON begun.stream = piece.stream;
