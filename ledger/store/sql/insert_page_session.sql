-- A session, from now on.
INSERT INTO ledger.page_session (digest, sealed) VALUES (%(digest)s, %(sealed)s)
