-- A link that opens until it expires; when that is, by the database's clock.
INSERT INTO ledger.page_link (digest, sealed, expires_at)
VALUES (%(digest)s, %(sealed)s, clock_timestamp() + %(lasts)s)
RETURNING expires_at
