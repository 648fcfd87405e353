-- Rows as a training loop reads them, each behind the leaf that must be proven; NULL where it is none.
SELECT '[' || json_text(item) || ',"' || time_text(collected) || '",' || json_text(kind) || ']',
       * EXCLUDE (item, collected, kind)
FROM (SELECT {item}, {collected} AS collected, CAST(kind AS VARCHAR) AS kind, {columns} FROM {reader})
