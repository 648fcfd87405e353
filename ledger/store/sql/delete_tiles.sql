-- All tiles: the tree is made again from the entries.
DELETE FROM ledger.tree_tile
