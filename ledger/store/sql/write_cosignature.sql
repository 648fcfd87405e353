-- A signature line of a checkpoint; a later one of the same key takes its place.
INSERT INTO ledger.cosignature (size, name, key_id, line)
VALUES (%(size)s, %(name)s, %(key_id)s, %(line)s)
ON CONFLICT (size, name, key_id) DO UPDATE SET line = excluded.line
