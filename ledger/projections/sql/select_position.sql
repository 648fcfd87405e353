-- Where the tables stand, and from which position on what changed is kept.
SELECT position, kept_from FROM ledger.projection WHERE tables = %(tables)s
