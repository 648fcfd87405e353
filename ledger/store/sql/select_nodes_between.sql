-- All nodes of the map at one depth, from one index to before another.
SELECT index, kind, hash
FROM ledger.map_node
WHERE depth = %(depth)s AND index >= %(first)s AND index < %(end)s
