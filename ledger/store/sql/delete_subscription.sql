-- Forgets a name.
DELETE FROM ledger.subscription WHERE name = %(name)s
