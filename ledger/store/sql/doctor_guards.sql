-- The guards that are not as the migrations made them (0001): in place, calling the refusal, enabled ALWAYS.
SELECT expected.guard || ' on ledger.' || place,
       CASE
           WHEN t.oid IS NULL THEN 'missing'
           WHEN t.tgenabled = 'D' THEN 'disabled'
           WHEN t.tgenabled <> 'A' THEN 'not enabled ALWAYS'
           ELSE 'another trigger'
       END
FROM unnest(ARRAY['log_entry', 'idempotency_key', 'ledger']) AS a (place)
-- What pg_trigger says of BEFORE UPDATE OR DELETE FOR EACH ROW, and of BEFORE TRUNCATE FOR EACH STATEMENT.
CROSS JOIN (VALUES ('append_only', 27), ('never_truncated', 34)) AS expected (guard, kind)
LEFT JOIN pg_trigger t
    ON t.tgrelid = to_regclass('ledger.' || place) AND t.tgname = expected.guard AND NOT t.tgisinternal
WHERE t.oid IS NULL OR t.tgenabled <> 'A' OR t.tgtype <> expected.kind OR t.tgqual IS NOT NULL
   OR t.tgfoid <> to_regprocedure('ledger.refuse_change()')
ORDER BY 1
