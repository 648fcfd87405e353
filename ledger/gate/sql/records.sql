-- One row a stream: what of its record does not depend on the item's time.
CREATE TABLE record AS
WITH last_entry AS (
    SELECT stream, max(version) AS version, max(recorded) AS recorded,
           max(recorded) FILTER (WHERE event = 'subject-erased') AS erased,
           max_by(get_json_object(json, '$.data.terms'), version) FILTER (WHERE event = 'accepted') AS accepted_terms,
           max_by(get_json_object(json, '$.data.terms'), version) FILTER (WHERE event = 'terms-shown') AS shown_terms
    FROM entry GROUP BY stream
)
SELECT last_entry.*, decided.stream IS NOT NULL AS decided,
       kept.off_months, kept.off_days, shown.deadline
FROM last_entry
LEFT JOIN (SELECT DISTINCT stream FROM decision) decided ON decided.stream = last_entry.stream
-- What no grant covers is kept as the terms last accepted, else last shown, say.
LEFT JOIN terms kept ON kept.version = coalesce(accepted_terms, shown_terms)
LEFT JOIN terms shown ON shown.version = shown_terms;
