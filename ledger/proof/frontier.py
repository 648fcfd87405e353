"""The right edge of a tree that only grows (RFC 6962, section 2.1): its root at any moment, in one hash a level."""

from __future__ import annotations

from ledger.proof.merkle import EMPTY_ROOT, node_hash


class Frontier:
    """What is needed of a tree to append to it and to know its root: the roots of its full subtrees."""

    def __init__(self) -> None:
        #: Largest first, each with its number of leaves: the binary digits of `size`.
        self._full: list[tuple[int, bytes]] = []
        self.size = 0

    def append(self, leaf: bytes) -> None:
        """One more leaf hash."""
        width, node = 1, leaf
        while self._full and self._full[-1][0] == width:
            node = node_hash(self._full.pop()[1], node)
            width *= 2
        self._full.append((width, node))
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far, 32 bytes; the tree may grow on after it."""
        if not self._full:
            return EMPTY_ROOT
        *larger, (_, node) = self._full
        for _, left in reversed(larger):
            node = node_hash(left, node)
        return node
