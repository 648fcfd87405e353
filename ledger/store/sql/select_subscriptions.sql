-- Where every name stands.
SELECT name, projection, position, seen_at FROM ledger.subscription ORDER BY projection, name
