-- Their hashes (RFC 6962), each use's in the order of the leaves.
SELECT number, basis, leaf_hash(leaf) FROM leaf ORDER BY number, basis, leaf
