-- Every item that was released, as the leaf of its use's manifest (FORMATS.md, section 6).
CREATE TABLE released AS
SELECT stream, use, kind, collected,
       '[' || json_text(item) || ',"' || time_text(collected) || '",' || json_text(kind) || ']' AS leaf
FROM ({items})
