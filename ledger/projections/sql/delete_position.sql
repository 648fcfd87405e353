-- These tables are given up.
DELETE FROM ledger.projection WHERE tables = %(tables)s
