-- The tree has this many entries now.
UPDATE ledger.sequenced SET tree_size = %(size)s
