-- The token of a digest, and the time by which it is judged.
SELECT digest, name, scopes, created_at, expires_at, revoked_at, clock_timestamp() FROM ledger.token WHERE digest = %(digest)s
