-- The hashes of one tile of the tree.
SELECT hashes FROM ledger.tree_tile WHERE level = %(level)s AND number = %(number)s
