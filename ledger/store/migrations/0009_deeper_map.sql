-- Buckets of the map that hold many streams are split further (docs/decisions/0029). A node of kind 3, at depth 16 or
-- deeper, has its halves kept too; those of kind 2 there say as before that nothing is kept below them, so what is here
-- is right as it is, and a bucket is split when one of its streams changes.
ALTER TABLE ledger.map_node
    DROP CONSTRAINT map_node_kind_check,
    ADD CONSTRAINT map_node_kind_check CHECK (kind BETWEEN 0 AND 3);
