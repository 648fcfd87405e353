-- Nodes of the map, found one by one.
SELECT found.depth, found.index, found.kind, found.hash
FROM unnest(%(depths)b::smallint[], %(indexes)b::integer[]) AS given (depth, index)
CROSS JOIN LATERAL (
    SELECT n.depth, n.index, n.kind, n.hash FROM ledger.map_node n
    WHERE n.depth = given.depth AND n.index = given.index LIMIT 1
) AS found
