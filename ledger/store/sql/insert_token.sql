-- A token, by its digest; a name that stands for another one is a unique violation.
INSERT INTO ledger.token (digest, name, scopes, expires_at)
VALUES (%(digest)s, %(name)s, %(scopes)s, %(expires_at)s)
