UPDATE ledger.map_node SET hash = sha256('x') WHERE depth = 0;
