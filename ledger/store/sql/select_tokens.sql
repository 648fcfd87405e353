-- All tokens, those that were made first coming first.
SELECT digest, name, scopes, created_at, expires_at, revoked_at FROM ledger.token ORDER BY created_at, digest
