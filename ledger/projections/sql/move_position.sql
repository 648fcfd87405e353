-- The tables stand further; `kept_from` moves with a rebuild only.
UPDATE ledger.projection
SET position = %(position)s, kept_from = coalesce(%(kept_from)s, kept_from)
WHERE tables = %(tables)s
