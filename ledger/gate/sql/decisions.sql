-- Every decision on the run's purpose, with what denies an On (the fold of domain/consent.py).
CREATE TABLE decision AS
WITH parsed AS (
    SELECT stream, version, event, recorded,
           micros(get_json_object(json, '$.occurred_at')) AS occurred,
           get_json_object(json, '$.data.terms') AS named_terms,
           CASE event
               WHEN 'accepted' THEN toggle_of(json, run.purpose)
               WHEN 'toggle-changed' THEN CASE WHEN get_json_object(json, '$.data.purpose') = run.purpose THEN get_json_object(json, '$.data.to') END
           END AS "to",
           event = 'accepted' AS at_accept,
           event = 'toggle-changed'
               OR is_touched(json, run.purpose) AS operated,
           get_json_object(json, '$.data.cause') AS cause,
           -- A toggle-changed belongs to the terms of the last Accepted of a lower version.
           max_by(get_json_object(json, '$.data.terms'), CASE WHEN event = 'accepted' THEN version END) OVER (
               PARTITION BY stream ORDER BY version ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
           ) AS accepted_terms
    FROM entry CROSS JOIN run
    WHERE event IN ('accepted', 'toggle-changed')
), first_shown AS (
    SELECT stream, get_json_object(json, '$.data.terms') AS terms, min(version) AS version
    FROM entry WHERE event = 'terms-shown' GROUP BY ALL
), decided AS (
    SELECT parsed.*, CASE WHEN at_accept THEN named_terms ELSE accepted_terms END AS terms
    FROM parsed WHERE "to" IS NOT NULL
)
SELECT decided.stream, decided.version, decided."to" = 'on' AS is_on, operated, at_accept, occurred, recorded,
       decided.terms,
       -- 5 s: the tolerance of the design's section 4, part of the format.
       CASE WHEN decided."to" = 'on' THEN greatest(occurred, recorded - 5000000) ELSE least(occurred, recorded) END
           AS start,
       CASE
           WHEN decided."to" = 'off' THEN NULL
           WHEN NOT at_accept AND cause <> 'person' THEN 'not-a-person'
           WHEN terms.version IS NULL THEN 'no-terms'
           WHEN at_accept AND (first_shown.version IS NULL OR first_shown.version > decided.version) THEN 'no-notice'
           WHEN at_accept AND NOT operated AND terms.untouched_refused THEN 'untouched-default'
       END AS denied
FROM decided
LEFT JOIN terms ON terms.version = decided.terms
LEFT JOIN first_shown ON first_shown.stream = decided.stream AND first_shown.terms = decided.terms;
