-- The leaves of every manifest that is still to be recorded, in its order (FORMATS.md, section 6), the same leaf twice
-- counted once; with each, the end of its stream as of the cutoff.
SELECT DISTINCT verdict.stream, verdict.basis,
       '[' || json_text(item) || ',"' || time_text(collected) || '",' || json_text(kind) || ']' AS leaf,
       kind, collected, record.version, record.recorded
FROM verdict
JOIN record ON record.stream = verdict.stream
WHERE verdict.reason = 'granted' AND verdict.stream NOT IN (SELECT stream FROM use)
ORDER BY verdict.stream, verdict.basis, leaf
