-- One subject's items that were permitted at the cutoff, with all that a verdict on them depends on.
SELECT item."row", item.item, item.collected, item.kind, item.plan, item.exclude
FROM verdict JOIN item ON item."row" = verdict."row"
WHERE verdict.stream = ? AND verdict.reason = 'granted'
ORDER BY item."row"
