"""The page's tree, chain and map: other people's vectors, and proofs that whoever holds the key could make.

Behind a wrong proof stands mostly a root that does not fit. Here it fits, so that nothing but the rule that the test
names stands in the way.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.entry import canonical, make_entry
from ledger.domain.names import LOG_STREAM, stream_key
from ledger.proof.chain import chain_next, chain_start, stream_value
from ledger.proof.merkle import leaf_hash
from ledger.proof.note import Note, format_note, sign_note
from ledger.proof.subject_map import map_leaf, map_node
from tests.domain import given
from tests.proof.small_log import SUBJECT, SmallLog, a_person
from tests.verifier.page import REFUSAL_OF, Verifier
from tests.verifier.sample import ME, demand_refusal, trust_in

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "merkle-proofs.json").read_text())

KEY = hashlib.sha256(b"a key").digest()
VALUE = hashlib.sha256(b"a value").digest()
SIBLING = hashlib.sha256(b"a sibling").digest()
EMPTY = bytes(32)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _bit(key: bytes, depth: int) -> int:
    return key[depth // 8] >> 7 - depth % 8 & 1


def _flipped(key: bytes, bit: int) -> bytes:
    return bytes(byte ^ (1 << 7 - bit % 8 if index == bit // 8 else 0) for index, byte in enumerate(key))


def test_the_inclusion_proofs_of_others_are_answered_as_they_do(verifier: Verifier) -> None:
    cases = VECTORS["inclusion"]
    refusals = verifier.ask(
        f"""async (cases) => {{
          {REFUSAL_OF}
          return Promise.all(cases.map((one) => refusalOf(async () => verifyInclusion(
            unbase64(one.leafHash ?? '', 'a leaf', 32), BigInt(one.leafIdx), BigInt(one.treeSize),
            readHashes(one.proof ?? [], 'a path', 63), unbase64(one.root ?? '', 'a root', 32), 'it'))));
        }}""",
        list(cases.values()),
    )
    differ = [
        name for name, refusal in zip(cases, refusals, strict=True) if (refusal is not None) != cases[name]["wantErr"]
    ]
    assert differ == []
    assert None in refusals


def _folded(end: bytes, siblings: list[bytes], key: bytes = KEY) -> bytes:
    """The root that a proof leads to."""
    node = end
    for depth in reversed(range(len(siblings))):
        sides = (siblings[depth], node) if _bit(key, depth) else (node, siblings[depth])
        node = map_node(*sides)
    return node


_FAR = _flipped(KEY, 1)
_NEAR = _flipped(KEY, 200)

#: A proof, the root it leads to, and what the page says of it: nothing, where it takes it.
MAPS: dict[str, tuple[dict[str, Any], bytes, str | None]] = {
    "one key": ({"siblings": [], "own": {"n": 1, "head": VALUE}}, map_leaf(KEY, stream_value(1, VALUE)), None),
    "a key below two siblings": (
        {"siblings": [SIBLING, EMPTY], "own": {"n": 9, "head": VALUE}},
        _folded(map_leaf(KEY, stream_value(9, VALUE)), [SIBLING, EMPTY]), None,
    ),
    "nothing in an empty map": ({"siblings": []}, EMPTY, None),
    "nothing beside something": ({"siblings": [SIBLING]}, _folded(EMPTY, [SIBLING]), None),
    "nothing beside nothing": ({"siblings": [EMPTY]}, _folded(EMPTY, [EMPTY]), "nothing beside nothing"),
    "another at the root": ({"siblings": [], "other": {"key": _FAR, "value": VALUE}}, map_leaf(_FAR, VALUE), None),
    "another on the path": (
        {"siblings": [SIBLING, SIBLING], "other": {"key": _NEAR, "value": VALUE}},
        _folded(map_leaf(_NEAR, VALUE), [SIBLING, SIBLING]), None,
    ),
    "another off the path": (
        {"siblings": [SIBLING, SIBLING], "other": {"key": _FAR, "value": VALUE}},
        _folded(map_leaf(_FAR, VALUE), [SIBLING, SIBLING]), "lies elsewhere in the map",
    ),
    "itself as another": (
        {"siblings": [], "other": {"key": KEY, "value": VALUE}}, map_leaf(KEY, VALUE), "found its own",
    ),
    "two ends": (
        {"siblings": [], "own": {"n": 1, "head": VALUE}, "other": {"key": _FAR, "value": VALUE}},
        map_leaf(KEY, stream_value(1, VALUE)), "found two",
    ),
    "256 siblings": ({"siblings": [SIBLING] * 256}, _folded(EMPTY, [SIBLING] * 256), None),
    "257 siblings": ({"siblings": [SIBLING] * 257}, EMPTY, "0 to 256"),
    "a hash of 31 bytes": ({"siblings": [SIBLING[:31]]}, EMPTY, "32 bytes"),
    "another root": ({"siblings": [SIBLING]}, SIBLING, "leads to another map"),
}  # fmt: skip


@pytest.mark.parametrize("name", MAPS)
def test_a_map_proof_that_breaks_a_rule_is_refused_also_under_a_root_that_fits(verifier: Verifier, name: str) -> None:
    proof, root, why = MAPS[name]
    refusal = verifier.ask(
        f"""async ({{key, proof, root}}) => {{
          {REFUSAL_OF}
          return refusalOf(async () => verifyMap(unhex(key), readProof(proof, 'it'), unhex(root), 'it'));
        }}""",
        {"key": KEY.hex(), "proof": json.loads(json.dumps(proof, default=_text)), "root": root.hex()},
    )
    assert (refusal is None) if why is None else (why in refusal), refusal


def _open_one(verifier: Verifier, log: SmallLog, positions: list[int], covers: int) -> str | None:
    """The person's stream opened, in a map that has no other, and says of it what these positions make."""
    key = stream_key(SUBJECT)
    head = chain_start(key)
    for version, position in enumerate(positions, 1):
        head = chain_next(head, version, leaf_hash(log.entries[position - 1]))
    stream = {
        "stream": SUBJECT,
        "proof": {"siblings": [], "own": {"n": len(positions), "head": _text(head)}},
        "entries": [
            {
                "entry": json.loads(log.entries[position - 1]),
                "position": position,
                "inclusion": [_text(sibling) for sibling in log.path(position)],
            }
            for position in positions
        ],
    }
    answer: str | None = verifier.ask(
        f"""async ({{stream, size, root, map, covers}}) => {{
          {REFUSAL_OF}
          const log = {{opened: {{size: BigInt(size), root: unhex(root)}}, covers, root: unhex(map), progress() {{}}}};
          return refusalOf(async () => openStream(stream, log, 'it'));
        }}""",
        {
            "stream": stream,
            "size": len(log.entries),
            "root": log.tree.root().hex(),
            "map": map_leaf(key, stream_value(len(positions), head)).hex(),
            "covers": covers,
        },
    )
    return answer


def test_a_stream_has_its_versions_at_rising_positions_among_those_the_map_covers(verifier: Verifier) -> None:
    log = SmallLog()
    for version in (1, 2, 2, 3, 1):
        log.append(SUBJECT, given.shown(), "2", version=version)
    assert _open_one(verifier, log, [1, 2, 4], covers=4) is None
    assert _open_one(verifier, log, [1, 3, 4], covers=5) is None
    assert "that the map covers" in (_open_one(verifier, log, [1, 2, 4], covers=3) or "")
    assert "after position" in (_open_one(verifier, log, [5, 2, 4], covers=5) or "")
    assert "expected version 2" in (_open_one(verifier, log, [1, 4], covers=5) or "")
    assert "expected version 1" in (_open_one(verifier, log, [2], covers=5) or "")


def test_an_entry_exchanged_for_another_of_its_version_is_missed_by_the_chain(verifier: Verifier) -> None:
    log = a_person(off=False)
    shown = log.append(SUBJECT, given.shown(), "9")
    hidden = log.append(SUBJECT, given.toggled("off"), "9", version=4)
    log.publish("10", without={hidden})
    bundle = json.loads(log.bundle_file())
    assert verifier.verify(canonical(bundle), trust_in(log), ME).overall == "holds"
    assert bundle["streams"][0]["entries"][3]["position"] == shown
    bundle["streams"][0]["entries"][3] = {
        "entry": json.loads(log.entries[hidden - 1]),
        "position": hidden,
        "inclusion": [_text(sibling) for sibling in log.path(hidden)],
    }
    answer = verifier.verify(canonical(bundle), trust_in(log), ME)
    demand_refusal(answer, "history")
    assert "to end as the signed map says" in answer.sentences["history"]


def test_a_map_that_claims_to_cover_itself_is_refused(verifier: Verifier) -> None:
    log = a_person()
    bundle = json.loads(log.bundle_file())
    map_entry = log.entry(8)
    for covers, why in ((7, None), (8, "one over 8"), (9, "one over 9")):
        event = type(map_entry.data)(covers=covers, root=map_entry.data.root, streams=1)
        changed = SmallLog()
        changed.entries = log.entries[:7]
        for entry in changed.entries:
            changed.tree.append(leaf_hash(entry))
        made = make_entry(
            event, stream=LOG_STREAM, version=1, occurred_at=map_entry.occurred_at, recorded_at=map_entry.recorded_at,
            nonce=map_entry.nonce,
        )  # fmt: skip
        changed.append_bytes(canonical(made))
        asked = dict(bundle)
        asked["checkpoint"] = changed.checkpoint().decode()
        asked["map"] = {
            "entry": json.loads(changed.entries[-1]),
            "inclusion": [_text(sibling) for sibling in changed.path(8)],
        }
        answer = verifier.verify(canonical(asked), trust_in(log), ME)
        assert answer.states["map"] == ("holds" if why is None else "fails")
        assert (why or "") in answer.sentences["map"]


def test_a_checkpoint_with_an_extension_line_is_refused_though_it_is_signed(verifier: Verifier) -> None:
    log = a_person()
    bundle = json.loads(log.bundle_file())
    text = bundle["checkpoint"].split("\n\n")[0] + "\nan extension\n"
    bundle["checkpoint"] = format_note(Note(text, (sign_note(text, log.log_key),))).decode()
    answer = verifier.verify(canonical(bundle), log.log_key.verifier.text, ME)
    demand_refusal(answer, "signature")
    assert "three lines, found 4" in answer.sentences["signature"]


def test_a_checkpoint_that_ends_in_no_map_is_refused(verifier: Verifier) -> None:
    log = a_person()
    bundle = json.loads(log.bundle_file())
    bundle["checkpoint"] = log.checkpoint(7).decode()
    bundle["map"] = {
        "entry": json.loads(log.entries[6]),
        "inclusion": [_text(sibling) for sibling in log.path(7, 7)],
    }
    answer = verifier.verify(canonical(bundle), trust_in(log), ME)
    demand_refusal(answer, "map")
    assert "found a toggle-changed" in answer.sentences["map"]
