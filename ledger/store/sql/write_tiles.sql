-- Tiles of the tree that are new or have grown.
INSERT INTO ledger.tree_tile (level, number, hashes)
SELECT level, number, hashes
FROM unnest(%(levels)b::smallint[], %(numbers)b::bigint[], %(hashes)b::bytea[]) AS given (level, number, hashes)
ON CONFLICT (level, number) DO UPDATE SET hashes = excluded.hashes
