-- The types of a table's columns.
SELECT attname, atttypid FROM pg_attribute WHERE attrelid = to_regclass(%(table)s) AND attnum > 0 AND NOT attisdropped
