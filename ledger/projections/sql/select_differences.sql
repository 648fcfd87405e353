-- Rows that the live and the rebuilt table do not have alike, both ways.
SELECT {of_live}, {of_rebuilt}
FROM {live} AS live FULL JOIN {rebuilt} AS rebuilt USING ({key})
WHERE ({of_live}) IS DISTINCT FROM ({of_rebuilt})
ORDER BY {order}
