"""What the page reads and hashes: the project's known answers, and every form refused that Python refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ledger.domain.entry import canonical, decode_entry
from ledger.domain.terms import Terms
from ledger.errors import InvalidEntry
from ledger.proof.policy import format_policy
from tests.domain import given
from tests.proof.small_log import SmallLog
from tests.verifier.page import REFUSAL_OF, Verifier

VECTORS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "formats.json").read_text())
ENTRIES: list[dict[str, Any]] = VECTORS["entries"]


def test_leaves_keys_and_chain_heads_are_the_known_ones(verifier: Verifier) -> None:
    found = verifier.ask(
        """async ({entries, subjects, streams}) => {
          const read = await Promise.all(entries.map((text) => readEntry(parseCanonical(utf8(text), 'it'), 'it')));
          const keys = await Promise.all(streams.map(streamKey));
          return {
            leaves: read.map((entry) => hex(entry.leaf)),
            subjects: await Promise.all(subjects.map((id) => subjectStream(unhex(id)))),
            keys: keys.map(hex),
            heads: await Promise.all(streams.map(async (stream, index) => {
              const own = read.filter((entry) => entry.stream === stream);
              return {head: hex(await chainHead(keys[index], own)), length: own.length};
            })),
          };
        }""",
        {
            "entries": [entry["entry"] for entry in ENTRIES],
            "subjects": VECTORS["subject_ids"],
            "streams": list(VECTORS["heads"]),
        },
    )
    assert found["leaves"] == [entry["leaf"] for entry in ENTRIES]
    assert found["subjects"] == VECTORS["stream_keys"]["subjects"]
    for stream, key, head in zip(VECTORS["heads"], found["keys"], found["heads"], strict=True):
        known = VECTORS["heads"][stream]
        assert (head["length"], head["head"]) == (known["n"], known["head"])
        assert VECTORS["stream_keys"].get(stream, stream) == key


def test_the_known_path_leads_to_the_known_root_and_the_known_checkpoint_is_signed(verifier: Verifier) -> None:
    signers = verifier.ask(
        """async ({leaf, path, root, vkey, checkpoint}) => {
          await verifyInclusion(unhex(leaf), 2n, 10n, path.map(unhex), unhex(root), 'it');
          const opened = await openCheckpoint(checkpoint, await parseTrust(vkey));
          if (hex(opened.root) !== root || opened.size !== 10n) throw new Error('another checkpoint');
          return opened.signers.map((key) => key.name);
        }""",
        {
            "leaf": ENTRIES[2]["leaf"],
            "path": VECTORS["inclusion_of_position_3"],
            "root": VECTORS["tree_root"],
            "vkey": VECTORS["vkey"],
            "checkpoint": VECTORS["checkpoint"],
        },
    )
    assert signers == ["consent.example/log1"]


#: What may stand in a field's place, and mostly must not.
_VALUES: list[Any] = [
    None, True, 0, 1, -1, 2**53, 1.5, "", "x", "on", "2025-09-28", "2025-09-28T00:00:00.000000Z", "a\nb",
    "é" * 257, "x" * 129, "P5Y", "P00D", [], ["x"], ["b", "a"], ["a", "a"], {}, {"x": "on"}, {"__proto__": "on"},
]  # fmt: skip
#: The same for a text that ends a line, which only Python's `$` would let pass.
_ENDINGS = ["\n", " "]


def _valid_entries() -> list[dict[str, Any]]:
    """One of every event, with every optional field that there is."""
    documents = [json.loads(entry["entry"]) for entry in ENTRIES]
    by_event = {document["event"]: document for document in documents}
    terms: dict[str, Any] = by_event["terms-published"]
    terms["data"]["amends"] = "2025-09-27"
    by_event["toggle-changed"]["data"]["plan"] = "pro"
    by_event["run-started"]["data"]["parent"] = "r0"
    by_event["run-started"]["data"]["input"] = [{"bytes": 3, "sha256": "0" * 64}, {"bytes": 4, "sha256": "1" * 64}]
    by_event["accepted"]["imported"] = {
        "at": "2025-09-20T10:00:00.000000Z",
        "recorded_at": "2025-09-01T10:00:00.000000Z",
        "source": "old system",
    }
    return list(by_event.values())


def _mutations(document: Any) -> Iterator[Any]:
    """The document with one thing different, at every place."""
    if isinstance(document, dict):
        for field, inner in document.items():
            yield {name: value for name, value in document.items() if name != field}
            for changed in [*_VALUES, *_mutations(inner)]:
                yield document | {field: changed}
        yield document | {"surplus": "x"}
    elif isinstance(document, list):
        yield [*document, *document]
        for index, inner in enumerate(document):
            for changed in _mutations(inner):
                yield [*document[:index], changed, *document[index + 1 :]]
    elif isinstance(document, str):
        yield from (document + ending for ending in _ENDINGS)


def test_the_page_takes_the_entries_that_python_takes_and_no_others(verifier: Verifier) -> None:
    valid = _valid_entries()
    texts = [json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False) for entry in valid]
    texts += [
        json.dumps(mutated, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        for entry in valid
        for mutated in _mutations(entry)
    ]
    refusals = verifier.ask(
        f"""async (texts) => {{
          {REFUSAL_OF}
          return Promise.all(texts.map((text) =>
            refusalOf(async () => readEntry(parseCanonical(utf8(text), 'an entry'), 'the entry'))));
        }}""",
        texts,
    )
    differ = [
        (text, refusal) for text, refusal in zip(texts, refusals, strict=True) if _takes(text) != (refusal is None)
    ]
    assert not differ, differ[:3]
    taken = sum(refusal is None for refusal in refusals)
    assert len(valid) <= taken < len(texts) / 4
    assert len(texts) > 2000


def _takes(text: str) -> bool:
    try:
        decode_entry(text.encode())
    except InvalidEntry:
        return False
    return True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('{"a":1,"a":1}', "written another way"),
        ('{"a": 1}', "written another way"),
        ('{"b":1,"a":1}', "written another way"),
        ('{"a":1}\n', "written another way"),
        ('{"a":1.0}', "written another way"),
        ('{"a":1e3}', "written another way"),
        ('{"a":-0}', "written another way"),
        ('{"a":9007199254740993}', "below 2^53"),
        ('{"a":0.5}', "below 2^53"),
        ('{"a":null}', "found null"),
        ('{"a":"\\u0041"}', "written another way"),
        ('{"a":"\\/"}', "written another way"),
        ('{"a":"\\ud800"}', "lone surrogate"),
        ("\ufeff{}", "as JSON"),
        ("{}{}", "as JSON"),
        ("[" * 17 + "]" * 17, "nested"),
        ("[" * 100_000, "nested"),
        ("{'a':1}", "as JSON"),
        ("", "as JSON"),
    ],
)
def test_json_that_is_not_canonical_is_refused(verifier: Verifier, text: str, why: str) -> None:
    asking = f"async (text) => {{ {REFUSAL_OF} return refusalOf(() => parseCanonical(utf8(text), 'it')); }}"
    assert why in (verifier.ask(asking, text) or "taken")


def test_bytes_that_are_no_text_are_refused(verifier: Verifier) -> None:
    asking = (
        f"async (bytes) => {{ {REFUSAL_OF} return refusalOf(() => parseCanonical(Uint8Array.from(bytes), 'it')); }}"
    )
    for damaged in (b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b'{"a":"\xc0\x80"}'):
        assert "UTF-8" in verifier.ask(asking, list(damaged))


def test_canonical_json_is_pythons(verifier: Verifier) -> None:
    text = "".join(map(chr, [*range(1, 0x180), 0x2028, 0x2029, 0xFEFF, 0xFFFD, 0x1F600]))
    terms: Terms = given.terms(title=text, when_on="P0D")
    document = json.loads(canonical(terms))
    assert verifier.ask("(value) => canonical(value)", document) == canonical(terms).decode()


_LOG = SmallLog()
_KEY = _LOG.log_key.verifier.text
_RECEIPTS = _LOG.receipts_key.verifier.text
_ONE, _TWO = (key.verifier.text for key in _LOG.witnesses)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nonsense",
        _KEY[:-1],
        _KEY.replace("+", "+0", 1),
        _KEY.upper(),
        _RECEIPTS,
        _ONE,
        f"log {_KEY}",
        f"log {_KEY}\nquorum nobody",
        f"log {_KEY}\nquorum none\nquorum none",
        f"log {_ONE}\nquorum none",
        f"log {_KEY}\nlog {_KEY}\nquorum none",
        f"log {_KEY}\nwitness a {_KEY}\nquorum a",
        f"log {_KEY}\nwitness a {_ONE}\nwitness a {_TWO}\nquorum a",
        f"log {_KEY}\nwitness a {_ONE}\nwitness b {_ONE}\nquorum a",
        f"log {_KEY}\nwitness none {_ONE}\nquorum none",
        f"log {_KEY}\nwitness a {_ONE}\ngroup g 2 a\nquorum g",
        f"log {_KEY}\nwitness a {_ONE}\ngroup g 0 a\nquorum g",
        f"log {_KEY}\nwitness a {_ONE}\ngroup g 01 a\nquorum g",
        f"log {_KEY}\nwitness a {_ONE}\ngroup g any a a\nquorum g",
        f"log {_KEY}\nwitness a {_ONE}\ngroup g any g\nquorum g",
        f"log {_KEY}\nwitness a {_ONE}\ngroup g any a\ngroup h any a\nquorum h",
        f"log {_KEY}\ngroup g any a\nwitness a {_ONE}\nquorum g",
        f"log {_KEY}\r\nquorum none\r\n",
        f"log {_KEY}\nwitness\nquorum none",
    ],
)
def test_keys_and_trust_files_that_mean_nothing_are_refused(verifier: Verifier, text: str) -> None:
    asking = f"async (text) => {{ {REFUSAL_OF} return refusalOf(() => parseTrust(text)); }}"
    assert verifier.ask(asking, text) is not None


def test_a_trust_file_as_python_writes_it_is_read(verifier: Verifier) -> None:
    text = f"# Whom we trust\n\n{format_policy(_LOG.policy)}  # the end\n"
    found = verifier.ask(
        """async (text) => {
          const trust = await parseTrust(text);
          return [trust.logs, trust.receipts, [...trust.witnesses.values()]].map((keys) => keys.map((key) => key.name));
        }""",
        text,
    )
    assert found == [
        [_LOG.log_key.verifier.name],
        [_LOG.receipts_key.verifier.name],
        [key.verifier.name for key in (*_LOG.witnesses, _LOG.auditor)],
    ]
