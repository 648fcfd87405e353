-- Ends the token that has the name now.
UPDATE ledger.token SET revoked_at = clock_timestamp() WHERE name = %(name)s AND revoked_at IS NULL
