-- The answer, from the log: what was permitted at the cutoff stays so only under a use of this run.
SELECT verdict."row", verdict.own, verdict.kind, used.stream, used.version AS use,
       CASE WHEN used.version IS NOT NULL THEN 'granted'
            WHEN verdict.reason = 'granted' THEN 'changed-during-run' ELSE verdict.reason END AS reason,
       CASE WHEN verdict.reason <> 'granted' THEN verdict.detail
            WHEN used.version IS NULL THEN coalesce(again.reason, 'no use was recorded') END AS detail,
       CASE WHEN again."row" IS NULL THEN verdict.basis ELSE again.basis END AS basis,
       CASE WHEN again."row" IS NULL THEN verdict.quality ELSE again.quality END AS quality,
       CASE WHEN again."row" IS NULL THEN verdict.terms ELSE again.terms END AS terms,
       CASE WHEN again."row" IS NULL THEN verdict.keep_until ELSE again.keep_until END AS keep_until
FROM verdict
LEFT JOIN judged_again again ON again."row" = verdict."row"
LEFT JOIN (
    SELECT record.number, use.* FROM use JOIN record ON record.stream = use.stream
) used
    ON verdict.reason = 'granted' AND coalesce(again.reason, 'granted') = 'granted'
    AND used.number = verdict.number
    AND used.basis = CASE WHEN again."row" IS NULL THEN verdict.basis ELSE again.basis END
