"""The five steps to a checkpoint, each durable before the next: after one that was killed, the next run goes on.

1. `fold`: reads the clock, fixes C, folds the map over the positions 1 … C.
2. `publish_map`: appends the map's root as an entry; where it lands is N.
3. `hash_entries`: hashes the committed entries up to N into the tree.
4. `sign`: holds the tree against what was signed before, signs, and keeps the copy outside the database.
5. `publish`: stores the checkpoint, where the newest is still the one that was read.

Appends wait for none of it; the map's entry is an append like others (design, section 6; FORMATS.md section 5).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

from ledger import keyring as keys
from ledger.application import ConsentLedger
from ledger.domain.entry import Entry
from ledger.domain.events import SubjectMapPublished
from ledger.domain.names import LOG_STREAM
from ledger.domain.recording import NewEvent
from ledger.domain.times import format_time
from ledger.errors import NotVerified, Unavailable
from ledger.keyring import Keyring
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.merkle import leaf_hash
from ledger.proof.note import Note, format_note, format_signature, parse_note, sign_note
from ledger.proof.tiles import grow
from ledger.sequencer.folding import fold_to, mend_map
from ledger.sequencer.reading import map_entry, pages
from ledger.store.database import Connection, connect, unavailable_as_error
from ledger.store.proofs import ProofTables, StoredCheckpoint
from ledger.store.signed import Signed, demand_length, hold_against, root_of_tree, signed_before
from ledger.store.statements import statement

Told = Callable[[int], object]


def nobody(_: int) -> None:
    """Where nobody watches how many entries were worked through."""


@dataclass(frozen=True, slots=True)
class Fold:
    """The map over the positions 1 … `covers`, fixed after the clock was `read_at`.

    `landed` is where its root stands in the log already: at its end, where no entry is left to cover.
    """

    read_at: datetime
    covers: int
    root: bytes
    streams: int
    landed: int | None


def sequence(ledger: ConsentLedger, *, trust_database: bool = False, watch: Told = nobody) -> StoredCheckpoint:
    """Brings tree and map up to date and signs; the newest checkpoint, a new one where there was anything new.

    One sequencer works at a time, a second waits. Nothing is signed, `Refused`, where the log is shorter than what
    was signed before, or differs from it, or, but for `trust_database`, where no copy of that is left outside the
    database. `watch` hears how many more entries were worked through.
    """
    with turn(ledger, trust_database=trust_database, watch=watch) as sequencer:
        return sequencer.run()


@contextmanager
def turn(ledger: ConsentLedger, *, trust_database: bool = False, watch: Told = nobody) -> Iterator[Sequencer]:
    """The sequencer of this ledger, alone at work until the block is left."""
    state, identity, name = ledger.place.state, ledger.identity, ledger.place.name
    with unavailable_as_error(name), connect(ledger.url, name, "consent_sequencer") as connection:
        # Of the session: a process that is killed lets go of it with its connection.
        connection.execute(statement("lock_sequencer"))
        # The keys after the lock: whoever held it may have changed them.
        keys.destroy_retired(state, identity.id)
        ring = keys.read_keyring(state, identity.id, identity.origin)
        yield Sequencer(ledger, ring, connection, trust_database, watch)


class Sequencer:
    """One turn at the log, for whoever holds the lock."""

    def __init__(
        self, ledger: ConsentLedger, ring: Keyring, connection: Connection, trust_database: bool, watch: Told
    ) -> None:
        self.ledger = ledger
        self.ring = ring
        self.tables = ProofTables(connection)
        self._recorder = ledger.recorder
        self._place = (ledger.place.state, ledger.identity.id, ring.origin)
        self._connection = connection
        self._trust_database = trust_database
        self._watch = watch

    def run(self) -> StoredCheckpoint:
        """The five steps, after whatever an earlier turn left undone."""
        last = self.settle()
        fold = self.fold()
        size = self.publish_map(fold)
        if last is not None and size == last.size:
            return self.complete(last)
        self.hash_entries(size)
        note = self.sign(size)
        return self.publish(last, size, note)

    def settle(self) -> StoredCheckpoint | None:
        """Holds the log against what was signed, before anything is appended to one that cannot be signed; then
        publishes a checkpoint that was kept outside and never stored. The newest checkpoint."""
        signed = self._signed_before()
        demand_length(signed, self.tables)
        if signed.newest is None:
            return None
        self._hold_or_mend(signed, signed.newest.checkpoint.size)
        last = signed.stored
        if last is None or last.size < signed.newest.checkpoint.size:
            last = self.publish(last, signed.newest.checkpoint.size, signed.newest.note)
        mend_map(self._connection, self.tables, self._recorder, last)
        return last

    def complete(self, last: StoredCheckpoint) -> StoredCheckpoint:
        """Where nothing is new, the last checkpoint still gets what it lacks of a new key, or of a lost copy."""
        note = parse_note(last.note.encode())
        known = note.first_signatures()
        new = [sign_note(note.text, k) for k in self.ring.log if (k.verifier.name, k.verifier.id) not in known]
        whole = format_note(Note(note.text, (*note.signatures, *new)))
        for key in self.ring.log:
            copy = keys.read_outside(*self._place, key.verifier)
            if copy is None or parse_note(copy).text != note.text:
                keys.write_outside(*self._place, key.verifier, whole)
        for signature in new:
            self.tables.add_signature(last.size, signature, format_signature(signature))
        return self.tables.last_checkpoint() or last

    def _signed_before(self) -> Signed:
        state, ledger_id, _ = self._place
        return signed_before(state, ledger_id, self.ring, self.tables, trust_database=self._trust_database)

    def _hold_or_mend(self, signed: Signed, size: int) -> None:
        """The tree's tables are a cache: where they disagree with what was signed, the entries themselves decide."""
        try:
            self.hash_entries(size)
            hold_against(signed, self.tables)
        except NotVerified:
            with self._connection.transaction():
                self.tables.forget_tree()
                self.hash_entries(size)
                hold_against(signed, self.tables)

    # The five steps.

    def fold(self) -> Fold:
        read_at = self.tables.clock()
        head = self.tables.head()
        newest = map_entry(self._recorder, head)
        landed = head if newest is not None and newest.covers == head - 1 else None
        covers = head if landed is None else head - 1
        root = fold_to(self._connection, self.tables, self._recorder, covers, self._watch)
        streams = self.tables.streams()
        if landed is not None and newest is not None and (newest.root, newest.streams) != (root.hex(), streams):
            raise NotVerified(
                f"expected the map root {newest.root} of the entry at position {head}, found {root.hex()} by the "
                "entries before it; nothing is signed over it: run `consent audit`"
            )
        return Fold(read_at, covers, root, streams, landed)

    def publish_map(self, fold: Fold) -> int:
        if fold.landed is not None:
            return fold.landed
        if fold.covers == 0:
            return 0
        event = SubjectMapPublished(covers=fold.covers, root=fold.root.hex(), streams=fold.streams)

        def decide_again(now: datetime) -> list[Entry]:
            version, recorded = self.tables.last_of(LOG_STREAM)
            recorded_at = now if recorded is None else max(now, recorded)
            # The clock of appends runs a little behind the database's; a map may claim less than it could, never more.
            occurred_at = min(fold.read_at, recorded_at)
            new = NewEvent(event, occurred_at=format_time(occurred_at), recorded_at=format_time(recorded_at))
            return self.ledger.to_entries(LOG_STREAM, version, [new])

        return self.ledger.append(decide_again) or 0

    def hash_entries(self, until: int) -> None:
        size = self.tables.tree_size()
        for page in pages(self._recorder, size, until):
            leaves = [leaf_hash(stored) for _, stored in page]
            with self._connection.transaction():
                self.tables.write_tiles(grow(size, leaves, self.tables.read_tile), size + len(leaves))
            size += len(leaves)
            self._watch(len(leaves))

    def sign(self, size: int) -> bytes:
        hold_against(self._signed_before(), self.tables)
        text = Checkpoint(self.ring.origin, size, root_of_tree(self.tables, size)).text
        note = format_note(Note(text, tuple(sign_note(text, key) for key in self.ring.log)))
        for key in self.ring.log:
            keys.write_outside(*self._place, key.verifier, note)
        return note

    def publish(self, last: StoredCheckpoint | None, size: int, note: bytes) -> StoredCheckpoint:
        ends_in = map_entry(self._recorder, size)
        if size and ends_in is None:
            raise NotVerified(f"expected a subject map at position {size}, which was signed last, found another event")
        covers = 0 if ends_in is None else ends_in.covers
        checkpoint = StoredCheckpoint(size, root_of_tree(self.tables, size), covers, note.decode())
        if not self.tables.publish(checkpoint, None if last is None else last.size):
            raise Unavailable(
                "expected to be the only sequencer, found a checkpoint newer than a moment ago; try again"
            )
        return checkpoint
