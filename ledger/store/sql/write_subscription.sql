-- Where a name stands from now on; no row where it is another projection's, or one too many.
INSERT INTO ledger.subscription AS standing (name, projection, position)
SELECT %(name)s::text, %(projection)s::text, %(position)s::bigint
WHERE EXISTS (SELECT FROM ledger.subscription WHERE name = %(name)s)
   OR (
       SELECT count(*) < %(most)s
          AND count(*) FILTER (WHERE split_part(name, '.', 1) = split_part(%(name)s::text, '.', 1)) < %(most_of_a_service)s
       FROM ledger.subscription
   )
ON CONFLICT (name) DO UPDATE SET position = excluded.position, seen_at = clock_timestamp()
WHERE standing.projection = excluded.projection
RETURNING name, projection, position, seen_at
