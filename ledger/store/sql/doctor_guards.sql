-- The guards that are not as the migrations made them (0001, 0002, 0004, 0005): in place, calling the refusal, enabled ALWAYS.
SELECT expected.guard || ' on ledger.' || expected.place,
       CASE
           WHEN t.oid IS NULL THEN 'missing'
           WHEN t.tgenabled = 'D' THEN 'disabled'
           WHEN t.tgenabled <> 'A' THEN 'not enabled ALWAYS'
           ELSE 'another trigger'
       END
-- `kind` is what pg_trigger says of BEFORE UPDATE OR DELETE FOR EACH ROW, BEFORE TRUNCATE FOR EACH STATEMENT, and
-- AFTER INSERT FOR EACH STATEMENT.
FROM (
    VALUES ('log_entry', 'append_only', 27, 'refuse_change'),
           ('log_entry', 'never_truncated', 34, 'refuse_change'),
           ('idempotency_key', 'append_only', 27, 'refuse_change'),
           ('idempotency_key', 'never_truncated', 34, 'refuse_change'),
           ('ledger', 'append_only', 27, 'refuse_change'),
           ('ledger', 'never_truncated', 34, 'refuse_change'),
           ('checkpoint', 'append_only', 27, 'refuse_change'),
           ('checkpoint', 'never_truncated', 34, 'refuse_change'),
           ('identities', 'nobody_erased', 4, 'refuse_erased')
) AS expected (place, guard, kind, refusal)
LEFT JOIN pg_trigger t
    ON t.tgrelid = to_regclass('ledger.' || expected.place) AND t.tgname = expected.guard AND NOT t.tgisinternal
WHERE t.oid IS NULL OR t.tgenabled <> 'A'
   OR t.tgtype <> expected.kind OR t.tgqual IS NOT NULL
   OR t.tgfoid <> to_regprocedure('ledger.' || expected.refusal || '()')
ORDER BY 1
