-- The material behind one entry.
INSERT INTO ledger.evidence (stream, digest, salt, body) VALUES (%(stream)s, %(digest)s, %(salt)s, %(body)s)
