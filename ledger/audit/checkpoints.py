"""The checkpoints that a source has, each compared with the tree at its size (FORMATS.md sections 5 and 7)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ledger.audit.findings import Finding, Kind
from ledger.audit.state import State
from ledger.audit.tree import GrowingTree
from ledger.errors import NotVerified
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.note import Note, parse_note
from ledger.proof.policy import Trust, open_checkpoint


class Checkpoints:
    """All roots at checkpoints' sizes are roots of one tree, so the checkpoints are consistent with each other."""

    def __init__(self, notes: Iterator[bytes], trust: Trust | None, state: State) -> None:
        #: Of the trust its logs: witnesses and auditors cosign once a checkpoint is there, and may be about to.
        self._trust = None if trust is None else Trust(trust.logs, trust.receipts)
        self._state = state
        self._found: list[Finding] = []
        self.count = 0
        self._notes = self._opened(notes)
        self._next = next(self._notes, None)
        #: The largest that is right.
        self.newest: tuple[Checkpoint, Note] | None = None

    def grow(self, tree: GrowingTree, leaves: Sequence[bytes]) -> None:
        """Appends leaf hashes to the tree, and looks at its root wherever a checkpoint says one."""
        self._compare(tree)
        while self._next is not None and (size := self._next[0].size) <= tree.size + len(leaves):
            cut = size - tree.size
            tree.extend(leaves[:cut])
            leaves = leaves[cut:]
            self._compare(tree)
        tree.extend(leaves)

    def _compare(self, tree: GrowingTree) -> None:
        while self._next is not None and self._next[0].size <= tree.size:
            checkpoint, note = self._next
            root = tree.root() if checkpoint.size == tree.size else None
            if root is None:
                self._find("checkpoint-invalid", checkpoint.size, f"smaller than one before it, of size {tree.size}")
            elif root != checkpoint.root:
                self._find(
                    "checkpoint-root",
                    checkpoint.size,
                    f"the root {checkpoint.root.hex()}, where the entries have {root.hex()}: "
                    "an entry up to there was changed, left out or put in after it was signed",
                )
            else:
                self._state.write("INSERT OR REPLACE INTO checkpoint VALUES (?, ?)", [(checkpoint.size, root)])
                self.newest = checkpoint, note
            self._next = next(self._notes, None)

    def finish(self, tree: GrowingTree) -> None:
        """The log ends here: checkpoints that say more of it, and those that do not end in a map, are named."""
        self._compare(tree)
        while self._next is not None:
            size = self._next[0].size
            self._find("checkpoint-beyond", size, f"only {tree.size} entries: the log was cut short")
            self._next = next(self._notes, None)
        self._find_maps()
        self._state.add("checkpoint", "", self._found)
        self._found = []

    def _find_maps(self) -> None:
        """For every checkpoint the last entry is a map, and the map after it covers all of it."""
        for (size,) in self._state.rows(
            "SELECT size FROM checkpoint WHERE size > 0 AND size NOT IN (SELECT position FROM map_entry)"
        ):
            self._find("checkpoint-without-map", size, f"another entry than a map at position {size}")
        query = (
            "SELECT position, covers, (SELECT max(size) FROM checkpoint WHERE size < position) AS previous"
            " FROM map_entry WHERE previous > covers"
        )
        for position, covers, previous in self._state.rows(query):
            self._found.append(
                Finding(
                    "map-covers",
                    f"expected the map at position {position} to cover all {previous} entries of the checkpoint "
                    f"before it, found that it covers {covers}",
                    position,
                )
            )

    def _opened(self, notes: Iterator[bytes]) -> Iterator[tuple[Checkpoint, Note]]:
        """Those that are signed as they must be; the others are named."""
        origin: str | None = self._state.get("origin")
        for data in notes:
            self.count += 1
            try:
                checkpoint, note = self._open(data)
                if origin is not None and checkpoint.origin != origin:
                    raise NotVerified(f"expected a checkpoint of {origin}, found one of {checkpoint.origin}")
            except NotVerified as error:
                self._found.append(Finding("checkpoint-invalid", f"checkpoint {self.count} of the source: {error}"))
                continue
            if origin is None:
                origin = checkpoint.origin
                self._state.put(origin=origin)
            yield checkpoint, note

    def _open(self, data: bytes) -> tuple[Checkpoint, Note]:
        if self._trust is not None:
            opened = open_checkpoint(data, self._trust)
            return opened.checkpoint, opened.note
        note = parse_note(data)
        return parse_checkpoint(note.text), note

    def _find(self, kind: Kind, size: int, found: str) -> None:
        self._found.append(
            Finding(kind, f"expected the checkpoint of size {size} to be of this log, found {found}", size)
        )
