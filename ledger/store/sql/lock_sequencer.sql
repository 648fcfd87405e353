-- One sequencer at a time: whoever comes second waits, and the lock goes with the session that holds it.
SELECT pg_advisory_lock('ledger.sequenced'::regclass::oid::bigint)
