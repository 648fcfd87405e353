-- The hash of every leaf, each once, in order: a file of them is searched by halving.
SELECT DISTINCT leaf_hash(leaf) AS hash
FROM released
ORDER BY hash
