"""The Merkle tree of RFC 6962, section 2.1: leaf hashes and the root."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The tree's root, 32 bytes; holds one hash a level, so a stream of any length fits in memory."""
    # Roots of full subtrees, largest first, each with its number of leaves: the binary digits of the count so far.
    full: list[tuple[int, bytes]] = []
    for leaf in leaf_hashes:
        size, node = 1, leaf
        while full and full[-1][0] == size:
            node = node_hash(full.pop()[1], node)
            size *= 2
        full.append((size, node))
    if not full:
        return EMPTY_ROOT
    _, node = full.pop()
    while full:
        node = node_hash(full.pop()[1], node)
    return node
