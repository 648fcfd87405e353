-- Where the tables stand; nobody else applies anything to them until the transaction ends.
SELECT position FROM ledger.projection WHERE tables = %(tables)s FOR UPDATE
