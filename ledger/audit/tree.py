"""The tree over all leaves, as it grows: its root at any size on the way (RFC 6962, section 2.1)."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.proof.merkle import EMPTY_ROOT, node_hash


class GrowingTree:
    """One hash a level. Leaves come many at a time: level by level they take half as long as one by one."""

    def __init__(self) -> None:
        #: Of each level the last node while it has no sibling.
        self._single: list[list[bytes]] = []
        self.size = 0

    def extend(self, leaves: Sequence[bytes]) -> None:
        """These leaf hashes follow."""
        self.size += len(leaves)
        nodes = list(leaves)
        level = 0
        while nodes:
            if level == len(self._single):
                self._single.append([])
            nodes = self._single[level] + nodes
            paired = len(nodes) & ~1
            self._single[level] = nodes[paired:]
            nodes = [node_hash(nodes[index], nodes[index + 1]) for index in range(0, paired, 2)]
            level += 1

    def root(self) -> bytes:
        """The root over all leaves so far, 32 bytes."""
        node: bytes | None = None
        for single in self._single:
            if single:
                node = single[0] if node is None else node_hash(single[0], node)
        return EMPTY_ROOT if node is None else node
