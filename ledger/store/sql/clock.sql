-- The ledger's clock: never ahead of what `append` will compare with.
SELECT ledger.clock()
