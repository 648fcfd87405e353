-- One rebuild or verification at a time in a ledger, for as long as the session lasts.
SELECT pg_advisory_lock('ledger.projection'::regclass::oid::bigint)
