"""What must be true of every checkpoint ever signed, derived again from the entries alone."""

from __future__ import annotations

from pathlib import Path

from ledger.domain.entry import decode_entry
from ledger.domain.events import SubjectMapPublished
from ledger.domain.names import stream_key
from ledger.keyring import read_keyring
from ledger.proof.chain import chain_next, chain_start, stream_value
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.merkle import leaf_hash, root
from ledger.proof.note import VerifierKey, parse_note, verify_note
from ledger.proof.subject_map import subtree
from ledger.settings import Place
from ledger.store.proofs import ProofTables, StoredCheckpoint
from tests import builders as b

ORIGIN = "ledger.test"


def keys_of(place: Place) -> list[VerifierKey]:
    """All keys that ever signed for this ledger."""
    ring = read_keyring(place.state, ledger_id(place), ORIGIN)
    return [*(key.verifier for key in ring.log), *ring.retired]


def ledger_id(place: Place) -> bytes:
    with b.admin(place) as admin:
        row = admin.execute("SELECT id FROM ledger.ledger").fetchone()
    assert row is not None
    return bytes(row[0])


def stored(place: Place) -> list[StoredCheckpoint]:
    with b.admin(place) as admin:
        return list(ProofTables(admin).checkpoints())


def outside(place: Place) -> dict[Path, bytes]:
    """The copies of checkpoints outside the database."""
    return {path: path.read_bytes() for path in (place.state / ledger_id(place).hex()).glob("checkpoint-*")}


def opened(note: bytes, keys: list[VerifierKey]) -> Checkpoint:
    parsed = parse_note(note)
    verify_note(parsed, keys)
    return parse_checkpoint(parsed.text)


def map_root(entries: list[bytes]) -> str:
    """The map over these entries, folded in one go."""
    heads: dict[bytes, tuple[int, bytes]] = {}
    for stored_bytes in entries:
        entry = decode_entry(stored_bytes)
        key = stream_key(entry.stream)
        length, head = heads.get(key, (0, chain_start(key)))
        heads[key] = length + 1, chain_next(head, length + 1, leaf_hash(stored_bytes))
    return subtree(sorted((key, stream_value(*head)) for key, head in heads.items()), 0).hash.hex()


def assert_sound(place: Place, notes: list[bytes] = []) -> list[StoredCheckpoint]:  # noqa: B006 - only read
    """Every checkpoint stored, kept outside or given in `notes` is of the log that is there, and as the formats say."""
    log = b.whole_log(place)
    b.assert_whole(log)
    entries = [entry for *_, entry in log]
    leaves = [leaf_hash(entry) for entry in entries]
    maps = assert_maps(entries)
    keys = keys_of(place)
    checkpoints = stored(place)
    for note in [*notes, *outside(place).values(), *(one.note.encode() for one in checkpoints)]:
        checkpoint = opened(note, keys)
        assert checkpoint.origin == ORIGIN
        assert checkpoint.root == root(leaves[: checkpoint.size])
        assert checkpoint.size == 0 or checkpoint.size in maps
    before = 0
    for one in checkpoints:
        parsed = opened(one.note.encode(), keys)
        assert (parsed.size, parsed.root) == (one.size, one.root)
        assert one.covers == (maps[one.size] if one.size else 0)
        assert one.covers >= before, "a map stops before the last checkpoint"
        before = one.size
    newest = max((opened(note, keys).size for note in outside(place).values()), default=0)
    assert newest == (checkpoints[-1].size if checkpoints else 0)
    return checkpoints


def assert_maps(entries: list[bytes]) -> dict[int, int]:
    """Every map in the log is right, covers less than its own position, and never less than the one before: by position
    what it covers."""
    found: dict[int, int] = {}
    covered = 0
    for position, stored_bytes in enumerate(entries, 1):
        entry = decode_entry(stored_bytes)
        if not isinstance(entry.data, SubjectMapPublished):
            continue
        covers = entry.data.covers
        assert covered <= covers < position
        assert entry.data.root == map_root(entries[:covers])
        assert entry.data.streams == len({decode_entry(one).stream for one in entries[:covers]})
        assert entry.occurred <= entry.recorded
        found[position] = covered = covers
    return found
