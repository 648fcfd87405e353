-- What some role lacks, or has and must not: the service reads and appends, and nobody else changes the log.
WITH role AS (
    SELECT name, oid
    FROM unnest(ARRAY[
        'consent_service', 'consent_identities', 'consent_projections', 'consent_sequencer', 'consent_tokens'
    ]) AS given (name)
    LEFT JOIN pg_roles ON rolname = name
), forbidden (place, privilege) AS (
    SELECT place, privilege
    FROM unnest(ARRAY['log_entry', 'idempotency_key', 'ledger', 'migration', 'erased_identity']) AS a (place),
         unnest(ARRAY['INSERT', 'UPDATE', 'DELETE', 'TRUNCATE']) AS b (privilege)
    UNION ALL
    SELECT place, privilege
    FROM unnest(ARRAY['identities', 'evidence', 'token']) AS a (place), unnest(ARRAY['UPDATE', 'DELETE', 'TRUNCATE']) AS b (privilege)
)
SELECT 'no role ' || name FROM role WHERE oid IS NULL
UNION ALL
SELECT name || ' may ' || privilege || ' ledger.' || place FROM role, forbidden
WHERE oid IS NOT NULL AND has_table_privilege(oid, 'ledger.' || place, privilege)
UNION ALL
SELECT 'everybody may ' || privilege || ' ledger.' || place FROM forbidden
WHERE has_table_privilege('public', 'ledger.' || place, privilege)
UNION ALL
SELECT 'consent_service may SELECT ledger.identities' FROM role
WHERE name = 'consent_service' AND oid IS NOT NULL AND has_table_privilege(oid, 'ledger.identities', 'SELECT')
UNION ALL
-- Whoever answers requests lets nobody in.
SELECT name || ' may INSERT ledger.token' FROM role
WHERE name <> 'consent_tokens' AND oid IS NOT NULL AND has_table_privilege(oid, 'ledger.token', 'INSERT')
