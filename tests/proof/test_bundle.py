"""Bundles as files, those that hold, and everything that can be done to one: each refused in a sentence."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from ledger.domain.entry import encode_entry
from ledger.domain.names import TERMS_STREAM, subject_stream
from ledger.errors import NotVerified
from ledger.proof.bundle import Bundle, Included, StreamShown, format_bundle, parse_bundle
from ledger.proof.strict import LARGEST_FILE, encode_json
from ledger.proof.subject_map import MapProof
from ledger.proof.verifying import verify_bundle
from tests.domain import given
from tests.proof.small_log import OTHER, SUBJECT, SUBJECT_ID, SmallLog, a_person, item, used

ID = f"id:{SUBJECT_ID.hex()}"
NOBODY = b"\x22" * 16
Edit = Callable[[dict[str, Any]], object]


@pytest.fixture(scope="module")
def log() -> SmallLog:
    return a_person()


def _edited(data: bytes, edit: Edit) -> bytes:
    """The file with something changed in it, and canonical again."""
    document = json.loads(data)
    edit(document)
    return encode_json(document)


def _refused(data: bytes, log: SmallLog, *saying: str, subject: str | None = None) -> None:
    """Under every trust, in one sentence that says all this."""
    for trust in (log.policy, log.bare):
        with pytest.raises(NotVerified) as refusal:
            verify_bundle(data, trust, subject)
        sentence = str(refusal.value)
        assert "\n" not in sentence
        for part in saying:
            assert part in sentence


def test_a_bundle_reads_as_it_was_written(log: SmallLog) -> None:
    bundle = log.bundle()
    data = format_bundle(bundle)
    assert parse_bundle(data) == bundle
    assert format_bundle(parse_bundle(data)) == data


def test_it_holds_the_stored_bytes_and_nothing_that_no_check_uses(log: SmallLog) -> None:
    document = json.loads(log.bundle_file())
    assert set(document) == {"checkpoint", "map", "streams", "v"}
    assert [stream["stream"] for stream in document["streams"]] == [SUBJECT, "terms", "run/r1"]
    assert [entry["position"] for entry in document["streams"][0]["entries"]] == [2, 4, 6, 7]
    assert all(entry in log.bundle_file() for entry in (log.entries[1], log.entries[3], log.entries[7]))


def test_a_good_bundle_holds_under_every_trust(log: SmallLog) -> None:
    for trust in (log.policy, log.bare):
        for subject in (None, ID, f"key:{SUBJECT}"):
            statement = verify_bundle(log.bundle_file(), trust, subject)
            assert not statement.violations
            assert (statement.fields["entries"], statement.fields["covers"], statement.fields["uncovered"]) == (4, 7, 1)


def test_the_statement_in_plain_words(log: SmallLog) -> None:
    whom, size, state, withdrawal, use, items, vouches = verify_bundle(log.bundle_file(), log.policy).sentences
    assert whom.startswith(f"for stream {SUBJECT}, which you must compare with your receipt: 4 entries are ")
    assert "the complete history as of 2025-09-08T10:00:00.000000Z" in whom
    assert "N = 8 entries and the map covers C = 7 of them; no map covers the last N - C = 1 entry yet" in size
    assert state == "model-training: off since 2025-09-07T10:00:00.000000Z by version 4, explicit"
    assert withdrawal == "withdrawal: model-training set to off by version 4 at 2025-09-07T10:00:00.000000Z"
    assert use.startswith("use of version 3 at position 6, 2 chat by run r1")
    assert "permitted as known when it was recorded, and in hindsight, on the grant of version 2, explicit" in use
    assert items.endswith("as the gate reported")
    for name in ("witness1.example", "witness2.example", "auditor auditor.example/consent-ledger-audit-v1"):
        assert f"{name} cosigned it at 2025-10-09T08:53:28.000000Z" in vouches


def test_under_a_bare_key_it_says_that_nobody_vouches(log: SmallLog) -> None:
    *_, vouches = verify_bundle(log.bundle_file(), log.bare).sentences
    assert "no witness and no auditor vouches" in vouches
    assert "somebody else may be shown another log" in vouches
    assert "witness1.example" not in vouches


def test_whoever_is_named_is_named_first(log: SmallLog) -> None:
    assert verify_bundle(log.bundle_file(), log.policy, ID).sentences[0].startswith(f"for {ID}, stream {SUBJECT}: ")
    assert verify_bundle(log.bundle_file(), log.policy, f"key:{SUBJECT}").sentences[0].startswith(f"for key:{SUBJECT}:")


def test_another_subjects_bundle_is_refused(log: SmallLog) -> None:
    _refused(log.bundle_file(OTHER), log, f"expected a bundle of stream {SUBJECT}", OTHER, subject=ID)


# Nobody


def test_absence_is_proven_to_who_names_the_person(log: SmallLog) -> None:
    data = log.bundle_file(subject_stream(NOBODY))
    (whom, _, _) = verify_bundle(data, log.policy, f"id:{NOBODY.hex()}").sentences
    assert whom.endswith("nothing was ever recorded about this person up to 2025-09-08T10:00:00.000000Z")
    assert [stream["stream"] for stream in json.loads(data)["streams"]] == [subject_stream(NOBODY)]


def test_absence_is_proven_to_nobody_else(log: SmallLog) -> None:
    _refused(log.bundle_file(subject_stream(NOBODY)), log, "add --subject")
    _refused(log.bundle_file(subject_stream(NOBODY)), log, "expected a bundle of stream", subject=ID)


def test_absence_of_all_is_proven_under_an_empty_map() -> None:
    log = SmallLog()
    log.publish("1")
    data = log.bundle_file(subject_stream(NOBODY))
    assert "nothing was ever recorded" in verify_bundle(data, log.policy, f"id:{NOBODY.hex()}").sentences[0]


@pytest.mark.parametrize("number", range(40))
def test_a_person_of_the_map_is_never_shown_absent(log: SmallLog, number: int) -> None:
    """With another's leaf, with nothing, at any depth: no end but their own leads to the root."""
    bundle = log.bundle()
    siblings = bundle.streams[0].proof.siblings
    nobody = log.bundle(subject_stream(bytes([number]) * 16)).streams[0].proof
    ends = [nobody, MapProof(siblings[:number]), MapProof(siblings, other=nobody.other)]
    for proof in ends:
        shown = StreamShown(SUBJECT, (), proof)
        _refused(format_bundle(replace(bundle, streams=(shown,))), log, subject=ID)


# What somebody may do to a file


def _entries(document: dict[str, Any]) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = document["streams"][0]["entries"]
    return entries


def _swap(document: dict[str, Any]) -> None:
    entries = _entries(document)
    entries[2], entries[3] = entries[3], entries[2]


def _swap_in_place(document: dict[str, Any]) -> None:
    """The entries change places, and their positions stay."""
    entries = _entries(document)
    for what in ("entry", "inclusion"):
        entries[2][what], entries[3][what] = entries[3][what], entries[2][what]


def _cut(document: dict[str, Any]) -> None:
    """As if the person had not withdrawn: one entry less, and the map's proof says so."""
    del _entries(document)[-1]
    document["streams"][0]["proof"]["own"]["n"] -= 1


def _of_the_other(document: dict[str, Any]) -> None:
    other = json.loads(a_person().bundle_file(OTHER))["streams"][0]
    document["streams"][0]["proof"], document["streams"][0]["entries"] = other["proof"], other["entries"]


TAMPERED: dict[str, tuple[Edit, str]] = {
    "the last event dropped": (lambda d: _entries(d).pop(), "found 3: entries were left out or added"),
    "an event dropped": (lambda d: _entries(d).pop(1), "found 3: entries were left out or added"),
    "all events dropped": (lambda d: _entries(d).clear(), "found 0: entries were left out or added"),
    "an event twice": (lambda d: _entries(d).insert(2, _entries(d)[1]), "found 5: entries were left out or added"),
    "two events exchanged": (_swap, "position"),
    "two events exchanged in place": (_swap_in_place, "version 3 of"),
    "an event edited": (lambda d: _entries(d)[3]["entry"]["data"].update(to="on"), "another root"),
    "an event's time edited": (
        lambda d: _entries(d)[3]["entry"].update(occurred_at="2025-09-01T10:00:00.000000Z"),
        "another root",
    ),
    "an event that is none": (lambda d: _entries(d)[3].update(entry={}), "at position 7"),
    "an event moved": (lambda d: _entries(d)[0].update(position=3), "at position 3"),
    "an event at no position": (lambda d: _entries(d)[0].update(position=0), "position"),
    "an event beyond the log": (lambda d: _entries(d)[3].update(position=9), "up to 7"),
    "a lowered map length": (_cut, "found another root"),
    "a raised map length": (lambda d: d["streams"][0]["proof"]["own"].update(n=5), "found another root"),
    "a map length of zero": (lambda d: d["streams"][0]["proof"]["own"].update(n=0), "n"),
    "another head": (
        lambda d: d["streams"][0]["proof"]["own"].update(head=d["streams"][1]["proof"]["own"]["head"]),
        "found another root",
    ),
    "both ends of a map proof": (
        lambda d: d["streams"][0]["proof"].update(other={"key": "A" * 43 + "=", "value": "A" * 43 + "="}),
        "one end of a map proof",
    ),
    "the other's entries": (_of_the_other, "found another root"),
    "a surplus hash": (lambda d: _entries(d)[0]["inclusion"].append("A" * 43 + "="), "no more hashes"),
    "a missing hash": (lambda d: _entries(d)[0]["inclusion"].pop(), "whole path"),
    "a surplus hash of the map's entry": (lambda d: d["map"]["inclusion"].insert(0, "A" * 43 + "="), "the map's entry"),
    "a missing sibling": (lambda d: d["streams"][0]["proof"]["siblings"].pop(), "root"),
    "a surplus sibling": (lambda d: d["streams"][0]["proof"]["siblings"].append("A" * 43 + "="), "the map proof of"),
    "257 siblings": (
        lambda d: d["streams"][0]["proof"].update(siblings=["B" * 42 + "A="] * 257),
        "at most 256 siblings",
    ),
    "64 hashes": (lambda d: _entries(d)[0].update(inclusion=["A" * 43 + "="] * 64), "at most 63 hashes"),
    "a hash of 31 bytes": (lambda d: _entries(d)[0]["inclusion"].__setitem__(0, "A" * 42 + "=="), "32 bytes"),
    "a sibling of 33 bytes": (
        lambda d: d["streams"][0]["proof"]["siblings"].__setitem__(0, "A" * 44),
        "32 bytes",
    ),
    "no terms": (lambda d: d["streams"].pop(1), "exactly the streams"),
    "no run": (lambda d: d["streams"].pop(2), "exactly the streams"),
    "a stream that nothing refers to": (
        lambda d: d["streams"].append(json.loads(a_person().bundle_file(OTHER))["streams"][0]),
        "exactly the streams",
    ),
    "streams in another order": (lambda d: d["streams"].__setitem__(slice(1, 3), d["streams"][:0:-1]), "exactly"),
    "a stream twice": (lambda d: d["streams"].append(d["streams"][1]), "each stream once"),
    "no subject": (lambda d: d["streams"].pop(0), "about nobody"),
    "no streams": (lambda d: d["streams"].clear(), "about nobody"),
    "a run's events dropped": (lambda d: d["streams"][2]["entries"].clear(), "expected all 1 entries"),
    "the terms' entry dropped": (lambda d: d["streams"][1]["entries"].clear(), "expected all 1 entries"),
    "an unknown field": (lambda d: d.update(remark="harmless"), "unknown field"),
    "an unknown field of an entry": (lambda d: _entries(d)[0].update(remark="harmless"), "unknown field"),
    "a missing field": (lambda d: d.pop("map"), "missing required field"),
    "null for what is absent": (lambda d: d["streams"][0]["proof"].update(other=None), "a bundle"),
    "another version": (lambda d: d.update(v=2), "a bundle"),
    "a number as text": (lambda d: _entries(d)[0].update(position="2"), "a bundle"),
    "a note that is none": (lambda d: d.update(checkpoint="hello"), "signed note"),
    "a note with CRLF": (lambda d: d.update(checkpoint=d["checkpoint"].replace("\n", "\r\n")), "control characters"),
    "a size with a zero before it": (lambda d: d.update(checkpoint=d["checkpoint"].replace("\n8\n", "\n08\n")), "size"),
    "an extension line": (
        lambda d: d.update(checkpoint=d["checkpoint"].replace("\n\n", "\nmore\n\n", 1)),
        "without extension lines",
    ),
    "another root": (lambda d: d.update(checkpoint=d["checkpoint"].replace("\n8\n", "\n9\n")), "good signature"),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_bundle_is_refused(log: SmallLog, name: str) -> None:
    edit, saying = TAMPERED[name]
    data = log.bundle_file()
    assert _edited(data, lambda _: None) == data, "the way of editing changes nothing by itself"
    _refused(_edited(data, edit), log, saying)


RESPELLED: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "re-spaced": (lambda data: json.dumps(json.loads(data), sort_keys=True).encode(), "canonical JSON"),
    "a space inside an entry": (
        lambda data: data.replace(b'"event":"accepted"', b'"event": "accepted"'),
        "another root",
    ),
    "a space before an entry": (lambda data: data.replace(b'"entry":{', b'"entry": {', 1), "canonical JSON"),
    "a newline at the end": (lambda data: data + b"\n", "canonical JSON"),
    "something after the end": (lambda data: data + b"{}", "trailing"),
    "a byte order mark": (lambda data: b"\xef\xbb\xbf" + data, "a bundle"),
    "escaped where none is needed": (lambda data: data.replace(b"pop-up", b"pop\\u002dup", 1), "another root"),
    "fields in another order": (
        lambda data: (
            encode_json(dict(reversed(json.loads(data).items()))).replace(b'"v":1}', b"}")[:1]
            + b'"v":1,'
            + data[1:].replace(b',"v":1}', b"}")
        ),
        "canonical JSON",
    ),
    "a duplicate key": (lambda data: data.replace(b'"v":1}', b'"v":1,"v":1}')[: len(data) + 6], "a"),
    "a duplicate key inside an entry": (
        lambda data: data.replace(b'"to":"off"', b'"to":"off","to":"off"'),
        "another root",
    ),
    "a duplicate position": (lambda data: data.replace(b'"position":2', b'"position":2,"position":2'), "canonical"),
    "a float": (lambda data: data.replace(b'"position":2', b'"position":2.0'), "a"),
    "an exponent": (lambda data: data.replace(b'"position":2', b'"position":2e0'), "a"),
    "a leading zero": (lambda data: data.replace(b'"position":2', b'"position":02'), "a"),
    "not UTF-8": (lambda data: data.replace(b"pop-up", b"pop\xffup"), "another root"),
    "cut short": (lambda data: data[:-1], "a bundle"),
    "empty": (lambda _: b"", "a bundle"),
    "a list": (lambda data: b"[" + data + b"]", "a bundle"),
    "deep": (lambda data: data.replace(b'"map":{', b'"map":' + b"[" * 100_000, 1), "a bundle"),
    "deep inside an entry": (
        lambda data: data.replace(b'"entry":{', b'"entry":' + b"[" * 5_000 + b"]" * 5_000 + b',"x":{', 1),
        "a bundle",
    ),
    "deep where an entry stands": (
        lambda data: data.replace(b'"surface":"pop-up"', b'"surface":' + b"[" * 400 + b"]" * 400, 1),
        "entry",
    ),
    "too large": (lambda data: data + b" " * LARGEST_FILE, "at most 64000000 bytes"),
}


@pytest.mark.parametrize("name", RESPELLED)
def test_what_is_spelled_in_another_way_is_refused(log: SmallLog, name: str) -> None:
    respell, saying = RESPELLED[name]
    data = respell(log.bundle_file())
    assert data != log.bundle_file()
    _refused(data, log, saying)


def test_every_flipped_bit_is_refused(log: SmallLog) -> None:
    """In the checkpoint every bit, under a policy that demands all its signatures. Of the rest every fifth, so each bit
    of some byte, under a bare key: that is refused by the hashes, and a policy demands no less.
    """
    data = log.bundle_file()
    end = data.index(b'","map":')
    for bit in range(8 * end):
        with pytest.raises(NotVerified):
            verify_bundle(_flipped(data, bit), log.policy)
    for bit in range(8 * end, 8 * len(data), 5):
        with pytest.raises(NotVerified):
            verify_bundle(_flipped(data, bit), log.bare)


def test_under_a_bare_key_a_flipped_bit_is_refused_or_says_the_same(log: SmallLog) -> None:
    """The signatures of others mean nothing to who trusts one key; what is said does not depend on them."""
    data = log.bundle_file()
    expected = verify_bundle(data, log.bare).sentences
    accepted = 0
    for bit in range(0, 8 * data.index(b'","map":'), 3):
        try:
            found = verify_bundle(_flipped(data, bit), log.bare).sentences
        except NotVerified:
            continue
        accepted += 1
        assert found == expected
    assert accepted, "some bits belong to cosignatures, which are passed over"


def _flipped(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


# What an operator may do who holds the key: the proofs are made, and signed, over what is wrong


def test_a_stale_map_under_a_fresh_checkpoint_is_refused() -> None:
    fresh = a_person(off=False)
    fresh.append(SUBJECT, given.toggled("off"), "9")
    stale = _with_paths(replace(fresh.bundle(), checkpoint=fresh.checkpoint()), fresh)
    _refused(format_bundle(stale), fresh, "the map's entry, at position 8", "whole path")
    shown = replace(stale, map_path=fresh.path(7))
    _refused(format_bundle(shown), fresh, "the map's entry, at position 8")
    last = replace(stale, map_entry=fresh.entries[7], map_path=fresh.path(8))
    _refused(format_bundle(last), fresh, "where the checkpoint ends, found toggle-changed")


def test_a_checkpoint_of_an_empty_log_shows_nobody() -> None:
    log = SmallLog()
    log.publish("1")
    _refused(format_bundle(replace(log.bundle(), checkpoint=log.checkpoint(0))), log, "empty log", subject=ID)


def test_a_map_that_claims_its_own_position_is_refused() -> None:
    log = a_person()
    entry = log.entry(8)
    claim = structs.replace(entry, version=2, data=structs.replace(entry.data, covers=9))
    log.append_bytes(encode_entry(claim))
    bundle = replace(log.bundle(), checkpoint=log.checkpoint(), map_entry=log.entries[8], map_path=log.path(9))
    _refused(format_bundle(_with_paths(bundle, log)), log, "claims to cover 9")


def _with_paths(bundle: Bundle, log: SmallLog) -> Bundle:
    """With paths to the newest root."""
    streams = [
        replace(one, entries=tuple(Included(e.position, e.entry, log.path(e.position)) for e in one.entries))
        for one in bundle.streams
    ]
    return replace(bundle, streams=tuple(streams))


def test_entries_that_the_map_does_not_cover_are_not_part_of_the_history() -> None:
    log = a_person(off=False)
    position = log.append(SUBJECT, given.toggled("off"), "9")
    log.publish("10", covers=7)
    bundle = log.bundle()
    assert [entry.position for entry in bundle.streams[0].entries] == [2, 4, 6]
    statement = verify_bundle(format_bundle(bundle), log.policy)
    assert "no map covers the last N - C = 2 entries yet" in statement.sentences[1]
    more = Included(position, log.entries[position - 1], log.path(position))
    own = replace(bundle.streams[0], entries=(*bundle.streams[0].entries, more))
    _refused(format_bundle(replace(bundle, streams=(own, *bundle.streams[1:]))), log, "left out or added")


def test_a_hole_in_the_versions_is_refused() -> None:
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(SUBJECT, given.accepted(), "3", version=3)
    log.publish("4")
    _refused(log.bundle_file(), log, "expected version 2 of", "found version 3")


def test_another_streams_entries_folded_in_are_refused() -> None:
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(OTHER, given.shown(), "3")
    log.publish("4")
    bundle = log.bundle()
    (own,) = bundle.streams[0].entries
    other = log.bundle(OTHER).streams[0].entries[0]
    swapped = replace(bundle.streams[0], entries=(other,))
    _refused(format_bundle(replace(bundle, streams=(swapped, *bundle.streams[1:]))), log, f"of {OTHER}")
    assert own.entry != other.entry


def test_a_version_of_the_terms_published_twice_is_refused() -> None:
    log = a_person()
    log.append(TERMS_STREAM, given.terms(when_off="P1D"), "9")
    log.publish("10")
    _refused(log.bundle_file(), log, "published once", "positions 1 and 9")


def test_terms_published_after_they_were_accepted_are_refused() -> None:
    log = SmallLog()
    log.append(SUBJECT, given.shown(), "2")
    log.terms()
    log.publish("4")
    _refused(log.bundle_file(), log, "published before terms-shown at position 1")


def test_a_map_cut_short_and_signed_holds_for_who_trusts_the_operator_and_is_refused_under_an_auditor() -> None:
    """What a bundle cannot see is whether the map was folded rightly: that is the auditor's to say."""
    log = a_person()
    log.publish("9", without={7})
    cut = format_bundle(log.bundle(checkpoint=log.checkpoint(cosigned=False)))
    statement = verify_bundle(cut, log.bare)
    assert statement.fields["entries"] == 3
    assert "no auditor vouches" in statement.sentences[-1] or "no witness" in statement.sentences[-1]
    with pytest.raises(NotVerified, match="quorum"):
        verify_bundle(cut, log.policy)


def test_bundles_under_older_checkpoints_still_hold(log: SmallLog) -> None:
    grown = a_person()
    old = grown.bundle_file()
    grown.append(SUBJECT, given.toggled("on"), "9")
    grown.publish("10")
    assert verify_bundle(old, grown.policy).fields["covers"] == 7
    new = verify_bundle(grown.bundle_file(), grown.policy)
    assert new.fields["covers"] == 9
    assert new.sentences[2] == "model-training is on since 2025-09-09T10:00:00.000000Z by version 5, explicit"


@pytest.mark.parametrize("people", [0, 1, 2, 7, 64, 300])
def test_bundles_hold_whatever_the_size_of_the_log(people: int) -> None:
    log = SmallLog().terms()
    for number in range(people):
        log.append(subject_stream(number.to_bytes(16, "big")), given.shown(), "2")
    log.append(SUBJECT, given.accepted(toggles={given.TRAINING: "off"}), "3")
    log.publish("4")
    for subject in (SUBJECT, *(subject_stream(number.to_bytes(16, "big")) for number in range(min(people, 5)))):
        assert verify_bundle(log.bundle_file(subject), log.policy).fields["stream"] == subject


def test_two_runs_are_shown_in_the_order_of_their_names() -> None:
    log = a_person(off=False)
    for run in ("r10", "R9", "r2"):
        log.run("9", run=run)
        log.append(SUBJECT, used([item("chat-9", "4")], basis=2, run=run), "9 11:00")
    log.publish("10")
    streams = [stream.stream for stream in log.bundle().streams]
    assert streams == [SUBJECT, "terms", "run/R9", "run/r1", "run/r10", "run/r2"]
    assert len(verify_bundle(log.bundle_file(), log.policy).fields["uses"]) == 4
