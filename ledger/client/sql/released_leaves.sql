-- The leaves of each use in the order of its manifest, the same leaf twice counted once.
SELECT DISTINCT stream, use, leaf, kind, collected
FROM released
ORDER BY stream, use, leaf
