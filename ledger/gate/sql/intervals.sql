-- The span of time that each On covers, or would if it were a grant: up to the first Off that it does not beat.
CREATE TABLE granted_interval AS
SELECT g.stream, g.version, g.start, g.operated, g.terms, g.denied, min(w.start) AS ends
FROM decision g
LEFT JOIN decision w
    ON w.stream = g.stream AND NOT w.is_on
    AND NOT (
        g.occurred > w.occurred
        AND (g.recorded > w.recorded OR (g.recorded = w.recorded AND g.version > w.version))
        AND (g.operated OR NOT w.operated)
    )
WHERE g.is_on
GROUP BY g.stream, g.version, g.start, g.operated, g.terms, g.denied;
