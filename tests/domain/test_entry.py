"""An entry and its one canonical form (FORMATS.md, sections 1 and 2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from ledger.domain.entry import (
    LARGEST_ENTRY,
    TOPICS,
    Entry,
    canonical,
    decode_entry,
    encode_entry,
    event_of,
    make_entry,
    topic_of,
)
from ledger.domain.events import (
    Accepted,
    DataUsedForTraining,
    Event,
    InputFile,
    RunFinished,
    RunStarted,
    SubjectErased,
    SubjectMapPublished,
    TermsShown,
    ToggleChanged,
)
from ledger.domain.names import LARGEST_INTEGER, stream_key, subject_stream
from ledger.errors import InvalidEntry
from tests.domain.given import ERASED, IMPORTED, NONCE, SHIPPED, STREAM, accepted, shown, toggled, used

TIME = "2025-09-03T10:00:00.000000Z"
RUN = RunStarted(
    purpose="model-training",
    kind="chat",
    started_at=TIME,
    cutoff=4,
    input=[InputFile(bytes=0, sha256="a" * 64), InputFile(bytes=LARGEST_INTEGER, sha256="b" * 64)],
    parent="r0",
)
EXAMPLES: dict[str, tuple[Event, str]] = {
    "terms-published": (SHIPPED, "terms"),
    "terms-shown": (shown(), STREAM),
    "accepted": (accepted(touched=("model-training",)), STREAM),
    "toggle-changed": (toggled("off", plan="max"), STREAM),
    "data-used-for-training": (used("4", basis=2), STREAM),
    "subject-erased": (ERASED, STREAM),
    "run-started": (RUN, "run/r1"),
    "run-finished": (RunFinished(uses=1, items=2, root="c" * 64), "run/r1"),
    "subject-map-published": (SubjectMapPublished(covers=9, root="d" * 64, streams=4), "log"),
}


def _entry(topic: str, **changes: Any) -> Entry:
    event, stream = EXAMPLES[topic]
    made = make_entry(
        event, stream=stream, version=1, occurred_at=TIME, recorded_at=TIME, nonce=NONCE, evidence="e" * 64
    )
    return msgspec.structs.replace(made, **changes)


def _json(topic: str) -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(encode_entry(_entry(topic)))
    return decoded


def _refused(stored: bytes, match: str = "expected ") -> None:
    with pytest.raises(InvalidEntry, match=match):
        decode_entry(stored)


def _changed(topic: str, change: Callable[[dict[str, Any]], object]) -> bytes:
    """The bytes of a topic's example, canonical, after a change to its JSON."""
    document = _json(topic)
    change(document)
    return rfc8785.dumps(document)


def test_every_topic_has_an_example_here() -> None:
    assert EXAMPLES.keys() == TOPICS


@pytest.mark.parametrize("topic", EXAMPLES)
def test_decoding_is_the_inverse_of_encoding(topic: str) -> None:
    for entry in (_entry(topic), _entry(topic, evidence=UNSET, imported=IMPORTED)):
        stored = encode_entry(entry)
        assert decode_entry(stored) == entry
        assert encode_entry(decode_entry(stored)) == stored
        assert entry.event == topic
        assert event_of(topic_of(type(entry.data))) is type(entry.data)


@pytest.mark.parametrize("topic", EXAMPLES)
def test_an_entry_is_what_rfc_8785_makes_of_it(topic: str) -> None:
    stored = encode_entry(_entry(topic))
    assert stored == rfc8785.dumps(json.loads(stored))


def test_an_unknown_topic_has_no_events() -> None:
    assert event_of("consent-given") is None


# What canonical JSON may hold here: no floats, ASCII field names, integers below 2^53, no lone surrogates.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
KEYS = st.text(st.characters(max_codepoint=127), max_size=6)
VALUES = st.recursive(
    TEXTS | st.booleans() | st.integers(-LARGEST_INTEGER, LARGEST_INTEGER),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_canonical_is_what_rfc_8785_says(value: Any) -> None:
    assert canonical(value) == rfc8785.dumps(value)


@settings(deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(TEXTS)
def test_every_text_of_terms_comes_back(text: str) -> None:
    terms = msgspec.structs.replace(SHIPPED, title=text or "x")
    stored = encode_entry(_entry("terms-published", data=terms))
    assert decode_entry(stored).data.title == (text or "x")


@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\udc00\ud800"])
def test_a_lone_surrogate_is_refused(text: str) -> None:
    with pytest.raises(InvalidEntry, match="lone surrogate"):
        canonical({"reason": text})
    with pytest.raises(InvalidEntry, match="lone surrogate"):
        encode_entry(_entry("subject-erased", data=SubjectErased(reason=text)))


def test_an_escaped_lone_surrogate_is_refused() -> None:
    stored = encode_entry(_entry("subject-erased")).replace(b'"request"', rb'"\ud800"')
    assert rb"\ud800" in stored
    _refused(stored)


def _fields(topic: str) -> list[tuple[str, str]]:
    """Every required field of a topic's example: the object that holds it, and its name."""
    document = _json(topic)
    envelope = [("", name) for name in document if name != "evidence"]
    optional = {"toggle-changed": {"plan"}, "run-started": {"parent"}}.get(topic, set())
    return envelope + [("data", name) for name in document["data"] if name not in optional]


def _holder(document: dict[str, Any], name: str) -> dict[str, Any]:
    holder: dict[str, Any] = document[name] if name else document
    return holder


@pytest.mark.parametrize("topic", EXAMPLES)
def test_a_missing_field_is_refused(topic: str) -> None:
    for inside, name in _fields(topic):
        document = _json(topic)
        del _holder(document, inside)[name]
        _refused(rfc8785.dumps(document))


@pytest.mark.parametrize("topic", EXAMPLES)
@pytest.mark.parametrize("value", [None, 1.0, 1.5, {}, [], -1, 2**53, True, "\x1f"], ids=repr)
def test_a_field_of_another_type_is_refused(topic: str, value: object) -> None:
    # Right where they stand: no toggle operated, no input of an attested run, a use from outside, text of terms.
    allowed = [("touched", "[]"), ("input", "[]"), ("attested", "True"), ("title", repr("\x1f"))]
    for inside, name in _fields(topic):
        if (name, repr(value)) not in allowed:
            document = _json(topic)
            _holder(document, inside)[name] = value
            _refused(_loosely(document))


def _loosely(document: object) -> bytes:
    """Sorted and without white space; for documents that RFC 8785 forbids or writes in another way."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@pytest.mark.parametrize("topic", EXAMPLES)
def test_an_unknown_field_is_refused(topic: str) -> None:
    _refused(_changed(topic, lambda document: document.update(note="x")), "unknown field `note`")
    _refused(_changed(topic, lambda document: document["data"].update(note="x")), "unknown field `note`")


@pytest.mark.parametrize("name", ["imported", "evidence"])
def test_an_optional_field_is_absent_never_null(name: str) -> None:
    _refused(_changed("accepted", lambda document: document.update({name: None})))


@pytest.mark.parametrize(
    ("topic", "name"),
    [
        ("toggle-changed", "plan"),
        ("run-started", "parent"),
        ("terms-published", "amends"),
        ("data-used-for-training", "basis"),
    ],
)
def test_an_optional_field_of_an_event_is_absent_never_null(topic: str, name: str) -> None:
    _refused(_changed(topic, lambda document: document["data"].update({name: None})))


IMPORT = {"at": TIME, "source": "old system", "recorded_at": TIME}


def test_an_import_may_say_the_time_of_its_source() -> None:
    entry = decode_entry(_changed("accepted", lambda document: document.update(imported=IMPORT)))
    assert entry.imported is not UNSET
    assert entry.imported.recorded_at == TIME


@pytest.mark.parametrize(
    "imported",
    [
        IMPORT | {"by": "x"},
        IMPORT | {"at": "2025-09-03"},
        IMPORT | {"at": "2025-09-31T10:00:00.000000Z"},
        IMPORT | {"source": ""},
        IMPORT | {"source": "a\nb"},
        {"at": TIME, "source": "old system", "recorded_at": None},
        IMPORT | {"recorded_at": "2025-09-31T10:00:00.000000Z"},
        {"at": TIME},
        {"source": "old system"},
        {},
        TIME,
    ],
)
def test_another_mark_of_an_import_is_refused(imported: object) -> None:
    _refused(_changed("accepted", lambda document: document.update(imported=imported)))


@pytest.mark.parametrize(
    ("topic", "stream"),
    [
        (topic, stream)
        for topic, (_, own) in EXAMPLES.items()
        for stream in ("terms", "log", STREAM, "run/r1")
        if stream != own
    ],
)
def test_an_event_in_a_stream_of_another_sort_is_refused(topic: str, stream: str) -> None:
    _refused(_changed(topic, lambda document: document.update(stream=stream)), "expected the event in")


@pytest.mark.parametrize(
    "stream",
    [
        "",
        "TERMS",
        "run/",
        "run/ r1",
        "run/r1/x",
        "run/.r",
        "run/" + "r" * 129,
        STREAM.upper(),
        STREAM[:-1],
        "log\n",
    ],
)
def test_what_names_no_stream_is_refused(stream: str) -> None:
    for topic in EXAMPLES:
        _refused(_changed(topic, lambda document: document.update(stream=stream)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("v", 2),
        ("v", 0),
        ("v", "1"),
        ("version", 0),
        ("version", 2**53),
        ("version", 2**64),
        ("version", "1"),
        ("nonce", NONCE[:-1]),
        ("nonce", NONCE + "0"),
        ("nonce", "A" * 32),
        ("nonce", "g" * 32),
        ("evidence", "E" * 64),
        ("evidence", ""),
        ("event", "consent-given"),
        ("event", "Accepted"),
        ("occurred_at", "2025-09-03T10:00:00Z"),
        ("occurred_at", "2025-02-29T10:00:00.000000Z"),
        ("recorded_at", "2025-09-31T10:00:00.000000Z"),
        ("recorded_at", "2025-09-03T24:00:00.000000Z"),
        ("recorded_at", "2016-12-31T23:59:60.000000Z"),
        ("recorded_at", "1969-12-31T23:59:59.999999Z"),
        ("recorded_at", "2025-09-03T10:00:00.000000+00:00"),
    ],
)
def test_a_wrong_value_of_the_envelope_is_refused(name: str, value: object) -> None:
    document = _json("accepted")
    document[name] = value
    _refused(_loosely(document))


@pytest.mark.parametrize(
    ("topic", "changes"),
    [
        ("accepted", {"touched": ["b", "a"]}),
        ("accepted", {"touched": ["a", "a"]}),
        ("accepted", {"touched": ["c"]}),
        ("accepted", {"toggles": {}}),
        ("accepted", {"toggles": {"a": "On"}}),
        ("accepted", {"toggles": {"a b": "on"}}),
        ("accepted", {"toggles": {f"p{number}": "on" for number in range(65)}, "touched": []}),
        ("accepted", {"terms": "2025 09"}),
        ("accepted", {"plan": ""}),
        ("accepted", {"plan": "p" * 257}),
        ("terms-shown", {"notice": "N" * 64}),
        ("terms-shown", {"locale": "en\t"}),
        ("toggle-changed", {"to": "maybe"}),
        ("toggle-changed", {"cause": "cron"}),
        ("toggle-changed", {"plan": ""}),
        ("data-used-for-training", {"items": {}}),
        ("data-used-for-training", {"items": {"chat": 0}}),
        ("data-used-for-training", {"items": {f"k{number}": 1 for number in range(65)}}),
        ("data-used-for-training", {"basis": 0}),
        ("data-used-for-training", {"collected_from": "2025-09-05T10:00:00.000000Z"}),
        ("data-used-for-training", {"collected_until": "2025-09-31T10:00:00.000000Z"}),
        ("data-used-for-training", {"manifest": "0" * 63}),
        ("subject-erased", {"reason": "a\x00b"}),
        ("subject-erased", {"reason": "a\x1fb"}),
        ("subject-erased", {"reason": "a\nb"}),
        ("run-started", {"input": [{"bytes": 1, "sha256": "b" * 64}, {"bytes": 1, "sha256": "a" * 64}]}),
        ("run-started", {"input": [{"bytes": -1, "sha256": "a" * 64}]}),
        ("run-started", {"input": [{"bytes": 1, "sha256": "a" * 64, "name": "x"}]}),
        ("run-started", {"started_at": "2025-02-30T10:00:00.000000Z"}),
        ("run-started", {"kind": "chats & more"}),
        ("run-started", {"parent": ""}),
        ("run-finished", {"uses": -1}),
        ("run-finished", {"root": "x" * 64}),
        ("subject-map-published", {"streams": -1}),
        ("terms-published", {"announced": "2025-02-30"}),
        ("terms-published", {"effective": "1969-12-31"}),
        ("terms-published", {"plans": [f"plan-{number}" for number in range(65)]}),
    ],
)
def test_a_wrong_value_of_an_event_is_refused(topic: str, changes: dict[str, object]) -> None:
    base: dict[str, object] = {"toggles": {"a": "on", "b": "off"}, "touched": ["a", "b"]} if topic == "accepted" else {}
    decode_entry(_changed(topic, lambda document: document["data"].update(base)))
    _refused(_changed(topic, lambda document: document["data"].update(base | changes)))


def test_a_use_lacks_a_basis_only_when_attested() -> None:
    def attested(value: bool) -> bytes:
        def change(document: dict[str, Any]) -> None:
            document["data"].pop("basis")
            document["data"]["attested"] = value

        return _changed("data-used-for-training", change)

    assert decode_entry(attested(True)).data.basis is UNSET
    _refused(attested(False), "only an attested use may lack one")


STORED = encode_entry(_entry("accepted"))


@pytest.mark.parametrize(
    "stored",
    [
        STORED + b"\n",
        b" " + STORED,
        STORED.replace(b":", b": ", 1),
        STORED.replace(b",", b", ", 1),
        b"\xef\xbb\xbf" + STORED,
        STORED + b"{}",
        STORED[:-1],
        STORED.replace(b'"v":1', b'"v":1.0'),
        STORED.replace(b'"v":1', b'"v":1e0'),
        STORED.replace(b'"v":1', b'"v":01'),
        STORED.replace(b'"version":1', b'"version":-0'),
        STORED.replace(b'"version":1', b'"version":1,"version":1'),
        STORED.replace(b'"v":1,', b'"v":1,"v":1,'),
        STORED.replace(b'"plan":"pro"', b'"plan":"max","plan":"pro"'),
        STORED.replace(b'"model-training":"on"', b'"model-training":"off","model-training":"on"'),
        STORED.replace(b"pop-up", rb"pop\u002dup"),
        STORED.replace(b"pop-up", rb"pop\/up"),
        STORED.replace(b"pop-up", b"pop\xff-up"),
        STORED.replace(b"pop-up", b"pop\xed\xa0\x80up"),
        STORED.replace(b"pop-up", b"pop\xc0\xafup"),
        STORED.replace(b"pop-up", b"pop\x00up"),
        STORED.replace(b'"v":1,', b"").replace(b'{"data"', b'{"v":1,"data"'),
        STORED.replace(b'"plan":"pro","surface":"pop-up"', b'"surface":"pop-up","plan":"pro"'),
        STORED.decode().encode("utf-16"),
        b"",
        b"null",
        b"[]",
        b"{}",
        b"NaN",
        b"[" * 65_000,
        b'{"a":' * 13_000,
        STORED.replace(b'"surface":"pop-up"', b'"surface":' + b"[" * 30_000 + b"]" * 30_000),
        STORED.replace(b'{"data"', b'{"a":' + b"[" * 30_000 + b"]" * 30_000 + b',"data"'),
    ],
)
def test_other_bytes_are_refused(stored: bytes) -> None:
    assert stored != STORED, "the case changes something"
    _refused(stored)


def test_a_character_is_escaped_in_one_way_only() -> None:
    title = '\b\t\n\f\r\x00\x1f"\\/\x7f\u2028é'
    stored = encode_entry(_entry("terms-published", data=msgspec.structs.replace(SHIPPED, title=title)))
    written = rb'"title":"\b\t\n\f\r\u0000\u001f\"\\/' + "\x7f\u2028é".encode() + b'"'
    assert written in stored
    ways = {rb"\b": rb"\u0008", rb"\n": rb"\u000a", rb"\u001f": rb"\u001F", "é".encode(): rb"\u00e9"}
    for one, other in ways.items():
        _refused(stored.replace(one, other), "other bytes")


def test_an_entry_has_at_most_65535_bytes() -> None:
    spare = LARGEST_ENTRY - len(encode_entry(_entry("terms-published")))
    fitting = msgspec.structs.replace(SHIPPED, title=SHIPPED.title + "x" * spare)
    assert len(encode_entry(_entry("terms-published", data=fitting))) == LARGEST_ENTRY
    longer = msgspec.structs.replace(fitting, title=fitting.title + "x")
    with pytest.raises(InvalidEntry, match="1 to 65535 bytes, found 65536"):
        encode_entry(_entry("terms-published", data=longer))


@pytest.mark.parametrize(
    ("topic", "data"),
    [
        ("subject-erased", SubjectErased(reason="")),
        ("run-finished", RunFinished(uses=-1, items=0, root="c" * 64)),
        ("run-finished", RunFinished(uses=2**53, items=0, root="c" * 64)),
        ("toggle-changed", ToggleChanged(purpose="a b", to="on", surface="x", cause="person")),
    ],
)
def test_nothing_is_encoded_that_would_not_be_decoded(topic: str, data: Event) -> None:
    with pytest.raises(InvalidEntry):
        encode_entry(_entry(topic, data=data))


def test_an_event_that_contradicts_itself_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="sorted"):
        Accepted(terms="t", toggles={"a": "on", "b": "on"}, touched=["b", "a"], plan="pro", surface="x")
    with pytest.raises(ValueError, match="`basis`"):
        DataUsedForTraining(
            run="r1",
            purpose="p",
            items={"chat": 1},
            collected_from=TIME,
            collected_until=TIME,
            manifest="0" * 64,
            attested=False,
        )


def test_a_free_string_counts_characters_not_bytes() -> None:
    longest = TermsShown(
        terms="t", notice="0" * 64, toggles={"p": "on"}, plan="é" * 256, surface="\U0001f600" * 256, locale="en"
    )
    stored = encode_entry(_entry("terms-shown", data=longest))
    assert decode_entry(stored).data == longest


def test_the_key_of_a_stream_follows_its_sort() -> None:
    # FORMATS.md section 3, and vectors/formats.json.
    assert subject_stream(b"\x11" * 16) == "5385328812b65fffe29ee835d495ddeb0c53ff936f847897632e53ca53df3a30"
    assert stream_key(subject_stream(b"\x11" * 16)).hex() == subject_stream(b"\x11" * 16)
    assert stream_key("run/r1").hex() == "0b38e10f291377bd6b22caa808f503d21a3d52beb99a7e2f9d8b9e4f58fd8dbe"
    with pytest.raises(ValueError, match="16 bytes, found 15"):
        subject_stream(bytes(15))
