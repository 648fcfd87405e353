-- Nobody appends while a log is being restored; the lock of ledger.append.
SELECT pg_advisory_xact_lock('ledger.log_entry'::regclass::oid::bigint)
