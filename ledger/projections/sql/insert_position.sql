-- A position for new tables; whoever inserts it makes them, in the same transaction. A second one waits here.
INSERT INTO ledger.projection (tables, position) VALUES (%(tables)s, %(position)s) ON CONFLICT DO NOTHING
