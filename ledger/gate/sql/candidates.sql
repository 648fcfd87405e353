-- Some subjects' items that were permitted at the cutoff, with all that a verdict on them depends on: none excludes.
SELECT record.stream, "row", item, collected, kind, plan
FROM verdict JOIN record ON record.number = verdict.number
WHERE reason = 'granted' AND record.stream IN (SELECT stream FROM moved_on)
ORDER BY record.stream, "row"
