-- Where tree and map stand.
SELECT tree_size, map_covers, map_streams FROM ledger.sequenced
