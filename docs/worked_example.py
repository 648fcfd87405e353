"""The worked example of docs/formats.md, computed: `python -m docs.worked_example` writes it; a test compares.

Its entries and keys are those of tests/vectors/formats.json, which another program made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from ledger.domain.entry import decode_entry
from ledger.domain.names import stream_key, subject_stream
from ledger.proof.chain import chain_next, chain_start, stream_value
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.cosignature import cosign
from ledger.proof.kept_map import MemoryMap, area_of, prove, refold
from ledger.proof.merkle import Tree, inclusion_proof, leaf_hash
from ledger.proof.note import COSIGNATURE, ED25519, Note, format_note, make_signing_key, sign_note, signing_key_text
from ledger.proof.promise import Promise
from ledger.proof.strict import encode_base64
from ledger.proof.subject_map import MapProof
from ledger.proof.tlog_proof import TlogProof, format_tlog_proof

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "formats.md"
MARKER = "<!-- worked example: written by python -m docs.worked_example -->\n"
ORIGIN = "consent.example/log1"
LOG_KEY = make_signing_key(ORIGIN, ED25519, bytes(range(32)))
RECEIPTS_KEY = make_signing_key(f"{ORIGIN}/receipts", ED25519, bytes([2] * 32))
WITNESS_KEY = make_signing_key("witness1.example", COSIGNATURE, bytes([1] * 32))
COSIGNED_AT = 1_760_000_000
#: Whose chain, proof and promise are shown.
SHOWN_POSITION = 3


def example() -> str:
    """The section, from its heading to the end of the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    known = json.loads((ROOT / "tests" / "vectors" / "formats.json").read_text(encoding="utf-8"))
    entries = [entry["entry"].encode() for entry in known["entries"]]
    subjects = [bytes.fromhex(subject) for subject in known["subject_ids"]]
    yield "## 8 Worked example"
    yield ""
    yield "A log of ten entries: two people, one run, one use, a withdrawal, an erasure, and the map. Everything can be"
    yield "computed again from what stands here; the same values are in [formats.json](../tests/vectors/formats.json)."
    yield ""
    yield from _keys_of_streams(subjects)
    yield from _entries(entries)
    yield from _chain(entries, subject_stream(subjects[0]))
    yield from _map(entries)
    yield from _tree(entries)
    yield from _promise(entries)


def _block(*lines: str) -> Iterator[str]:
    yield "```"
    yield from lines
    yield "```"
    yield ""


def _keys_of_streams(subjects: list[bytes]) -> Iterator[str]:
    yield "**Streams.** Subject ids and names, and their keys:"
    yield ""
    yield from _block(
        *(f"{subject.hex()}  {subject_stream(subject)}" for subject in subjects),
        *(f"{name:<32}  {stream_key(name).hex()}" for name in ("terms", "log", "run/r1")),
    )


def _entries(entries: list[bytes]) -> Iterator[str]:
    yield "**Entries and leaves.** Each entry's bytes, one line, and its leaf hash:"
    yield ""
    for position, stored in enumerate(entries, 1):
        entry = decode_entry(stored)
        yield f"Position {position}, `{entry.event}`, {len(stored)} bytes:"
        yield ""
        yield from _block(stored.decode(), leaf_hash(stored).hex())


def _chain(entries: list[bytes], stream: str) -> Iterator[str]:
    yield "**Chain.** The stream of the first person, from h_0 to its head, and the stream value:"
    yield ""
    head = chain_start(bytes.fromhex(stream))
    lines = [f"h_0  {head.hex()}"]
    for version, leaf in enumerate((leaf_hash(e) for e in entries if decode_entry(e).stream == stream), 1):
        head = chain_next(head, version, leaf)
        lines.append(f"h_{version}  {head.hex()}")
    yield from _block(*lines, f"val  {stream_value(len(lines) - 1, head).hex()}")


def map_of(entries: list[bytes]) -> tuple[MemoryMap, dict[str, tuple[int, bytes]]]:
    """The subject map over entries, and every stream's length and head."""
    heads: dict[str, tuple[int, bytes]] = {}
    for stored in entries:
        stream = decode_entry(stored).stream
        length, head = heads.get(stream, (0, chain_start(stream_key(stream))))
        heads[stream] = length + 1, chain_next(head, length + 1, leaf_hash(stored))
    store = MemoryMap()
    for stream, (length, head) in heads.items():
        store.set(stream_key(stream), stream_value(length, head))
    refold(store, {area_of(stream_key(stream)) for stream in heads})
    return store, heads


def _map(entries: list[bytes]) -> Iterator[str]:
    covered = entries[:-1]
    store, heads = map_of(covered)
    stream = decode_entry(entries[SHOWN_POSITION - 1]).stream
    yield f"**Map.** Over the positions 1 to {len(covered)}: every stream's n, head and value; the proof of the first"
    yield "person's stream; and the proof that the stream of the subject id `ff…ff` is not there:"
    yield ""
    lines = []
    for name, (length, head) in sorted(heads.items(), key=lambda item: stream_key(item[0])):
        lines += [f"K {stream_key(name).hex()}  n {length}", f"  head  {head.hex()}"]
        lines += [f"  value {stream_value(length, head).hex()}"]
    absent = bytes.fromhex(subject_stream(b"\xff" * 16))
    yield from _block(
        *lines,
        f"root {refold(store, ()).hex()}",
        "",
        *_proof_lines(stream_key(stream), prove(store, stream_key(stream), heads[stream])),
        *_proof_lines(absent, prove(store, absent, None)),
    )


def _proof_lines(key: bytes, proof: MapProof) -> Iterator[str]:
    yield f"proof for K {key.hex()}"
    yield from (f"  sibling {sibling.hex()}" for sibling in proof.siblings)
    if proof.own is not None:
        yield f"  end own n {proof.own[0]} head {proof.own[1].hex()}"
    elif proof.other is not None:
        yield f"  end other K' {proof.other[0].hex()} value {proof.other[1].hex()}"
    else:
        yield "  end nothing"


def _tree(entries: list[bytes]) -> Iterator[str]:
    tree = Tree()
    for stored in entries:
        tree.append(leaf_hash(stored))
    text = Checkpoint(ORIGIN, tree.size, tree.root()).text
    note = Note(text, (sign_note(text, LOG_KEY), cosign(text, WITNESS_KEY, COSIGNED_AT)))
    index = SHOWN_POSITION - 1
    path = tuple(inclusion_proof(index, tree.size, tree.read))
    yield "**Checkpoint.** Keys are from seeds that are no secret: the log's 00 to 1f, the witness's 32 times 01. The"
    yield "signing and the verifier key of the log, the verifier key of the witness, the root in hex, and the"
    yield f"checkpoint, cosigned at {COSIGNED_AT}:"
    yield ""
    yield from _block(signing_key_text(LOG_KEY), LOG_KEY.verifier.text, WITNESS_KEY.verifier.text, tree.root().hex())
    yield from _block(*format_note(note).decode().splitlines())
    yield f"**Proof of one entry**, that at position {SHOWN_POSITION}:"
    yield ""
    proof = TlogProof(index, path, entries[index], format_note(note))
    yield from _block(*format_tlog_proof(proof).decode().splitlines())


def _promise(entries: list[bytes]) -> Iterator[str]:
    stored = entries[SHOWN_POSITION - 1]
    entry = decode_entry(stored)
    text = Promise(
        ORIGIN, entry.stream, SHOWN_POSITION, leaf_hash(stored), entry.recorded_at, "2025-09-03T10:01:00.000000Z"
    ).text
    yield f"**Promise** for the same entry, by the receipts key (seed 32 times 02), `{RECEIPTS_KEY.verifier.text}`;"
    yield f"its leaf is {encode_base64(leaf_hash(stored))} in base64:"
    yield ""
    yield from list(_block(*format_note(Note(text, (sign_note(text, RECEIPTS_KEY),))).decode().splitlines()))[:-1]


def page_with_example() -> str:
    """The whole page, with the example as it is computed now."""
    before, _, _ = PAGE.read_text(encoding="utf-8").partition(MARKER)
    return before + MARKER + "\n" + example()


if __name__ == "__main__":
    PAGE.write_text(page_with_example(), encoding="utf-8")
