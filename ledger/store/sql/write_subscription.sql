-- Where a name stands from now on; no row where it is another projection's, or one too many.
INSERT INTO ledger.subscription AS standing (name, projection, position)
SELECT %(name)s::text, %(projection)s::text, %(position)s::bigint
WHERE EXISTS (SELECT FROM ledger.subscription WHERE name = %(name)s)
   OR (SELECT count(*) FROM ledger.subscription) < %(most)s
ON CONFLICT (name) DO UPDATE SET position = excluded.position, seen_at = clock_timestamp()
WHERE standing.projection = excluded.projection
RETURNING name, projection, position, seen_at
