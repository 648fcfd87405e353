-- Where a name stands.
SELECT name, projection, position, seen_at FROM ledger.subscription WHERE name = %(name)s
