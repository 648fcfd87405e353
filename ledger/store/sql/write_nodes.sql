-- Nodes of the map that have changed.
INSERT INTO ledger.map_node (depth, index, kind, hash)
SELECT depth, index, kind, hash
FROM unnest(%(depths)b::smallint[], %(indexes)b::integer[], %(kinds)b::smallint[], %(hashes)b::bytea[])
     AS given (depth, index, kind, hash)
ON CONFLICT (depth, index) DO UPDATE SET kind = excluded.kind, hash = excluded.hash
