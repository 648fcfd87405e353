-- Some subjects' items that were permitted at the cutoff, with all that a verdict on them depends on.
SELECT verdict.stream, item."row", item.item, item.collected, item.kind, item.plan, item.exclude
FROM verdict JOIN item ON item."row" = verdict."row"
WHERE verdict.reason = 'granted' AND verdict.stream IN (SELECT stream FROM moved_on)
ORDER BY verdict.stream, item."row"
