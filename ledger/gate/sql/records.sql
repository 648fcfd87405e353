-- One row a stream: what of its record does not depend on the item's time. Its number, in the order of the streams,
-- stands for it wherever there is a row an item.
CREATE TABLE record AS
WITH last_entry AS (
    SELECT stream, max(version) AS version, max(recorded) AS recorded,
           max(recorded) FILTER (WHERE event = 'subject-erased') AS erased,
           max_by(get_json_object(json, '$.data.terms'), version) FILTER (WHERE event = 'accepted') AS accepted_terms,
           max_by(get_json_object(json, '$.data.terms'), version) FILTER (WHERE event = 'terms-shown') AS shown_terms
    FROM entry GROUP BY stream
)
SELECT row_number() OVER (ORDER BY last_entry.stream) AS number, last_entry.*, decided.stream IS NOT NULL AS decided,
       kept.off_months, kept.off_days, shown.deadline
FROM last_entry
LEFT JOIN (SELECT DISTINCT stream FROM decision) decided ON decided.stream = last_entry.stream
-- What no grant covers is kept as the terms last accepted, else last shown, say.
LEFT JOIN terms kept ON kept.version = coalesce(accepted_terms, shown_terms)
LEFT JOIN terms shown ON shown.version = shown_terms;

-- The same by the number of the identity that items name.
CREATE TABLE person AS
SELECT identity.number AS identity, subject.erased AS identity_erased, record.*
FROM identity
LEFT JOIN subject ON subject.subject = identity.subject
LEFT JOIN record ON record.stream = subject.stream;
