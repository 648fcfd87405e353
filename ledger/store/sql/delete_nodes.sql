-- All nodes of the map: it is made again from the entries.
DELETE FROM ledger.map_node
