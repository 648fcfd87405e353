-- Rows as JSON into a table, over those of the same key; the types are the table's own.
INSERT INTO {table} ({columns})
SELECT {columns} FROM json_populate_recordset(NULL::{table}, %(rows)s::json)
ON CONFLICT ({key}) DO UPDATE SET ({columns}) = ROW ({new})
