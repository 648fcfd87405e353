-- The next one may begin.
SELECT pg_advisory_unlock('ledger.projection'::regclass::oid::bigint)
