-- Rows as a training loop reads them, each behind the leaf that must be proven; NULL where it is none.
SELECT leaf_text(item, collected, kind),
       * EXCLUDE (item, collected, kind)
FROM (SELECT {item}, {collected} AS collected, CAST(kind AS VARCHAR) AS kind, {columns} FROM {reader})
