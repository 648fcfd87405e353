-- Up to which position each projection has applied the log.
SELECT tables, position FROM ledger.projection ORDER BY tables
