-- Every item that was released, as the leaf of its use's manifest (FORMATS.md, section 6).
CREATE TABLE released AS
SELECT stream, use, kind, collected, leaf_text(item, collected, kind) AS leaf
FROM ({items})
