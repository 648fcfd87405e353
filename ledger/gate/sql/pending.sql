-- Their uses, in the same order, a row for each kind of item; with each, the end of its stream as of the cutoff.
SELECT leaf.number, basis, kind, count(*) AS items, min(collected) AS earliest, max(collected) AS latest,
       record.stream, record.version, record.recorded
FROM leaf JOIN record ON record.number = leaf.number
GROUP BY leaf.number, basis, kind, record.stream, record.version, record.recorded
ORDER BY leaf.number, basis, kind
