-- What is known of these keys.
SELECT key, request, position FROM ledger.idempotency_key WHERE key = ANY (%(keys)b::bytea[])
