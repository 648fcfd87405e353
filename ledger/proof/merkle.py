"""The Merkle tree of RFC 6962, section 2.1; its proofs are verified as RFC 9162, sections 2.1.3.2 and 2.1.4.2, says.

Indexes count from 0: the entry at position p is the leaf of index p - 1 (FORMATS.md section 4).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from ledger.errors import NotVerified

HASH_SIZE = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
#: A log has fewer than 2^63 entries, since its sizes are signed numbers of 64 bits (C2SP tlog-tiles).
LARGEST_SIZE = 2**63 - 1
#: Leaves whose hashes are held at once, some 4 MB: a power of 2, so that they are a full subtree.
SUBTREE = 1 << 16
#: So no path is longer than the tree is high, one hash a level.
MOST_HASHES = 63

#: (height, index) to the root of the index-th full subtree of 2**height leaves.
ReadHash = Callable[[int, int], bytes]


def leaf_hash(entry: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[bytes]:
    """`leaf_hash` of each: what is hashed by the million pays for no call beside."""
    sha256 = hashlib.sha256
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree that only grows, in one hash a level: enough to append to it, and to know its root."""

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


def root(leaf_hashes: Iterable[bytes]) -> bytes:
    """The tree's root, 32 bytes; a stream of any length fits in memory."""
    leaves = iter(leaf_hashes)
    subtrees = [_climb(chunk) for chunk in iter(lambda: list(islice(leaves, SUBTREE)), [])]
    return _climb(subtrees) if subtrees else EMPTY_ROOT


def _climb(nodes: list[bytes]) -> bytes:
    """The root over nodes that stand side by side, all but the last over equally many leaves, level by level; a level's
    last one without a neighbour goes up as it is."""
    sha256 = hashlib.sha256
    while len(nodes) > 1:
        pairs = zip(nodes[::2], nodes[1::2], strict=False)
        alone = nodes[len(nodes) & ~1 :]
        nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + alone
    return nodes[0]


def root_at(size: int, read: ReadHash) -> bytes:
    """The root over the first `size` leaves of a tree that has at least as many."""
    return _hash_of(0, size, read) if size else EMPTY_ROOT


def inclusion_proof(index: int, size: int, read: ReadHash) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1: from the leaf's sibling to the child of the root over `size` leaves."""
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    start, end = 0, size
    path = []
    while end - start > 1:
        split = start + _left_part(end - start)
        if index < split:
            path.append(_hash_of(split, end, read))
            end = split
        else:
            path.append(_hash_of(start, split, read))
            start = split
    return path[::-1]


def consistency_proof(old: int, new: int, read: ReadHash) -> list[bytes]:
    """PROOF of RFC 6962, section 2.1.2; nothing needs to be shown of an empty tree, nor of one that did not grow."""
    if not 0 <= old <= new:
        raise ValueError(f"a tree of {old} leaves never grew to {new}")
    if old == 0:
        return []
    start, end = 0, new
    path = []
    while old != end:
        split = start + _left_part(end - start)
        if old <= split:
            path.append(_hash_of(split, end, read))
            end = split
        else:
            path.append(_hash_of(start, split, read))
            start = split
    if start:
        path.append(_hash_of(start, end, read))  # at 0 it is the old root itself, which the verifier has
    return path[::-1]


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """`NotVerified` unless `leaf` is the hash of that leaf in the tree with this root."""
    _demand_size(size)
    if not 0 <= index < size:
        raise NotVerified(f"expected an index below the tree's size {size}, found {index}; make the proof anew")
    _demand_hashes(leaf, root, *proof)
    _demand_count(proof)
    place, last = index, size - 1
    node = leaf
    for sibling in proof:
        if last == 0:
            raise NotVerified(f"expected no more hashes than a path has, found {len(proof)}; make the proof anew")
        if place % 2 or place == last:
            node = node_hash(sibling, node)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            node = node_hash(node, sibling)
        place, last = place // 2, last // 2
    if last:
        raise NotVerified(f"expected a whole path, found one that ends after {len(proof)} hashes; make the proof anew")
    if node != root:
        raise NotVerified(
            f"expected the leaf of index {index} in the tree of size {size}, found another root; "
            "the proof, the entry or the root was changed"
        )


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    """`NotVerified` unless the tree with `new_root` begins with all leaves of the one with `old_root`."""
    _demand_size(old)
    _demand_size(new)
    if old > new:
        raise NotVerified(f"expected the older tree first, found size {old} before {new}; a log never shrinks")
    _demand_hashes(old_root, new_root, *proof)
    _demand_count(proof)
    if old == 0 and old_root != EMPTY_ROOT:
        raise NotVerified("expected the root of the empty tree at size 0, found another; the checkpoint is none")
    if old in (0, new):
        if proof:
            raise NotVerified(f"expected no hashes from size {old} to {new}, found {len(proof)}; make the proof anew")
        if old == new and old_root != new_root:
            raise NotVerified(f"expected one root at size {old}, found two; the log showed two histories")
        return
    _verify_growth(old, new, old_root, new_root, proof)


def _verify_growth(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> None:
    # A full old tree is a node of the new one, and left out of the proof.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise NotVerified(f"expected hashes from size {old} to {new}, found none; make the proof anew")
    place, last = old - 1, new - 1
    while place % 2:
        place, last = place // 2, last // 2
    before = after = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise NotVerified(f"expected no more hashes than a proof has, found {len(proof)}; make the proof anew")
        if place % 2 or place == last:
            before = node_hash(sibling, before)
            after = node_hash(sibling, after)
            while place % 2 == 0 and place:
                place, last = place // 2, last // 2
        else:
            after = node_hash(after, sibling)
        place, last = place // 2, last // 2
    if last:
        raise NotVerified(f"expected a whole proof, found one that ends after {len(proof)} hashes; make it anew")
    if before != old_root or after != new_root:
        raise NotVerified(
            f"expected the tree of size {new} to extend the one of size {old}, found other roots; "
            "the proof was changed, or the log showed two histories"
        )


class Tree:
    """A whole tree in memory, all its full subtrees kept; its `read` is a `ReadHash`."""

    def __init__(self, leaf_hashes: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaf_hashes:
            self.append(leaf)

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """One more leaf, by its hash."""
        node = leaf
        for level in self._levels:
            level.append(node)
            if len(level) % 2:
                return
            node = node_hash(level[-2], level[-1])
        self._levels.append([node])

    def root(self, size: int | None = None) -> bytes:
        """The root over the first `size` leaves, or over all."""
        return root_at(self.size if size is None else size, self.read)

    def read(self, height: int, index: int) -> bytes:
        return self._levels[height][index]


def _left_part(count: int) -> int:
    """The largest power of two below `count`, which is at least 2: how many of so many leaves lie left of the root."""
    return 1 << ((count - 1).bit_length() - 1)


def _hash_of(start: int, end: int, read: ReadHash) -> bytes:
    """MTH(D[start:end]); `start` is a multiple of the smallest power of two that is not below the count."""
    full = []
    while start < end:
        height = (end - start).bit_length() - 1
        full.append(read(height, start >> height))
        start += 1 << height
    node = full.pop()
    while full:
        node = node_hash(full.pop(), node)
    return node


def _demand_size(size: int) -> None:
    if not 0 <= size <= LARGEST_SIZE:
        raise NotVerified(f"expected a tree's size from 0 to {LARGEST_SIZE}, found {size}; make the proof anew")


def _demand_hashes(*hashes: bytes) -> None:
    for found in hashes:
        if len(found) != HASH_SIZE:
            raise NotVerified(f"expected hashes of {HASH_SIZE} bytes, found one of {len(found)}; make the proof anew")


def _demand_count(proof: Sequence[bytes]) -> None:
    if len(proof) > MOST_HASHES:
        raise NotVerified(f"expected at most {MOST_HASHES} hashes in a path, found {len(proof)}; make the proof anew")
