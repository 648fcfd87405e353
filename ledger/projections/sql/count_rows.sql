-- Rows that stand, and rows that are gone.
SELECT count(*) FILTER (WHERE NOT gone), count(*) FILTER (WHERE gone) FROM {table}
