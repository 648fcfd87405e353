-- The next checkpoints above a size, each note with the signatures that came later.
SELECT c.size, c.root, c.covers,
       c.note || coalesce((SELECT string_agg(s.line, '' ORDER BY s.name, s.key_id)
                           FROM ledger.cosignature s WHERE s.size = c.size), '')
FROM ledger.checkpoint c
WHERE c.size > %(after)s
ORDER BY c.size
LIMIT %(limit)s
