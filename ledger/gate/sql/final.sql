-- The answer, from the log: what was permitted at the cutoff stays so only under a use of this run.
CREATE TABLE answer AS
SELECT verdict."row", verdict.kind, verdict.stream, use.version AS use,
       CASE WHEN use.version IS NOT NULL THEN 'granted'
            WHEN verdict.reason = 'granted' THEN 'changed-during-run' ELSE verdict.reason END AS reason,
       CASE WHEN verdict.reason <> 'granted' THEN verdict.detail
            WHEN use.version IS NULL THEN coalesce(again.reason, 'no use was recorded') END AS detail,
       CASE WHEN again."row" IS NULL THEN verdict.basis ELSE again.basis END AS basis,
       CASE WHEN again."row" IS NULL THEN verdict.quality ELSE again.quality END AS quality,
       CASE WHEN again."row" IS NULL THEN verdict.terms ELSE again.terms END AS terms,
       CASE WHEN again."row" IS NULL THEN verdict.keep_until ELSE again.keep_until END AS keep_until
FROM verdict
LEFT JOIN judged_again again ON again."row" = verdict."row"
LEFT JOIN use
    ON verdict.reason = 'granted' AND coalesce(again.reason, 'granted') = 'granted'
    AND use.stream = verdict.stream
    AND use.basis = CASE WHEN again."row" IS NULL THEN verdict.basis ELSE again.basis END;
