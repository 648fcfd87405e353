-- The leaves of every manifest that is still to be recorded (FORMATS.md, section 6), the same leaf twice counted once.
CREATE TABLE leaf AS
SELECT DISTINCT number, basis, kind, collected, leaf_text(item, collected, kind) AS leaf
FROM verdict
WHERE reason = 'granted'
    AND number NOT IN (SELECT record.number FROM use JOIN record ON record.stream = use.stream);
