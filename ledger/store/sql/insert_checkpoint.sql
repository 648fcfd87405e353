-- A checkpoint, where the newest is still the one that was read; -1 stands for none.
INSERT INTO ledger.checkpoint (size, root, covers, note)
SELECT %(size)s, %(root)s, %(covers)s, %(note)s
WHERE (SELECT coalesce(max(size), -1) FROM ledger.checkpoint) = %(previous)s
