-- The leaves of every manifest, in its order (FORMATS.md, section 6); the same leaf twice counts once.
SELECT DISTINCT stream, basis, '[' || json_text(item) || ',"' || time_text(collected) || '",' || json_text(kind) || ']' AS leaf,
       kind, collected
FROM verdict
WHERE reason = 'granted'
ORDER BY stream, basis, leaf
