-- Links people who are held to be new; answers with those who are not (migrations, 0005).
SELECT link_new FROM ledger.link_new(%(names)b::text[], %(prints)b::bytea[], %(new_ids)b::bytea[])
