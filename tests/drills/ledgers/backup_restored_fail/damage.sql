DELETE FROM ledger.checkpoint;
DELETE FROM ledger.log_entry WHERE position > 4;
TRUNCATE ledger.tree_tile, ledger.stream_head, ledger.map_node;
UPDATE ledger.sequenced SET tree_size = 0, map_covers = 0, map_streams = 0;
