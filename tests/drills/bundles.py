"""Drills on bundles and item proofs: whoever hands one over may be anybody."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from ledger.domain.names import stream_key
from ledger.proof.bundle import format_bundle
from ledger.proof.policy import format_policy
from ledger.proof.strict import encode_base64
from tests.domain import given
from tests.drills.make import Case, edited
from tests.proof.small_log import OTHER, SUBJECT, SUBJECT_ID, SmallLog, a_person, item, used

POLICY = format_policy(SmallLog().policy).encode()
VERIFY = ("bundle.json", "--policy", "policy.txt", "--subject", f"key:{SUBJECT}")
#: The positions of `a_person`, as indices into the subject's own stream.
SHOWN, ACCEPTED, USE, WITHDRAWAL = range(4)
GOOD = a_person().bundle_file()


def cases() -> Iterator[Case]:
    """All of them; the first of each kind is the one without damage."""
    yield _bundle("bundle", "all of one person's history, under the signatures of everybody", GOOD, "nothing left out")
    for name, why, edit, says in _DAMAGES:
        yield _bundle(f"{name}_fail", why, edited(GOOD, edit), says)
    yield from _bytes_changed()
    yield from _other_people()
    yield from _maps()
    yield from _verdicts()


def _bundle(name: str, why: str, data: bytes, says: str, arguments: tuple[str, ...] = VERIFY) -> Case:
    return Case(name, why, {"bundle.json": data, "policy.txt": POLICY}, arguments, says)


def _own(document: Any) -> list[Any]:
    entries: list[Any] = document["streams"][0]["entries"]
    return entries


def _entry(document: Any, which: int) -> Any:
    return _own(document)[which]["entry"]


def _proof(document: Any) -> Any:
    return document["streams"][0]["proof"]


def _drop(which: int, document: Any) -> None:
    del _own(document)[which]


def _drop_and_lower(document: Any) -> None:
    del _own(document)[WITHDRAWAL]
    _proof(document)["own"]["n"] = 3


def _swap(document: Any) -> None:
    entries = _own(document)
    entries[SHOWN], entries[ACCEPTED] = entries[ACCEPTED], entries[SHOWN]


def _shorten(document: Any) -> None:
    """As if the withdrawal had never been: the length and head of before, which the operator can compute."""
    log = a_person(off=False)
    before = json.loads(log.bundle_file())["streams"][0]
    document["streams"][0]["entries"] = _own(document)[:WITHDRAWAL]
    _proof(document)["own"] = before["proof"]["own"]


def _hide(document: Any) -> None:
    """False absence: an end that holds nothing, in the place of the stream's leaf."""
    document["streams"] = document["streams"][:1]
    _own(document).clear()
    del _proof(document)["own"]


def _hide_behind(document: Any) -> None:
    """False absence: another's leaf, taken from elsewhere in the map, at the end of the stream's path."""
    _hide(document)
    _proof(document)["other"] = {"key": encode_base64(stream_key(OTHER)), "value": encode_base64(bytes(32))}


def _sibling(change: Callable[[list[str]], object], document: Any) -> None:
    change(_proof(document)["siblings"])


def _path(change: Callable[[list[str]], object], document: Any) -> None:
    change(_own(document)[USE]["inclusion"])


def _set(where: Callable[[Any], Any], name: str, value: Any, document: Any) -> None:
    where(document)[name] = value


_ZEROS = encode_base64(bytes(32))
Damage = tuple[str, str, Callable[[Any], object], str]
_DAMAGES: list[Damage] = [
    (
        "event_dropped",
        "the withdrawal is left out",
        partial(_drop, WITHDRAWAL),
        "expected all 4 entries that the map has",
    ),
    ("first_event_dropped", "the notice is left out", partial(_drop, SHOWN), "expected all 4 entries that the map has"),
    (
        "event_dropped_length_lowered",
        "the withdrawal is left out, and the length fits",
        _drop_and_lower,
        "the proof, the length, the head or the root was changed",
    ),
    ("events_reordered", "the Accept before the notice", _swap, "expected version 1 of"),
    (
        "event_edited",
        "the Off is an On",
        lambda d: _set(lambda d: _entry(d, WITHDRAWAL)["data"], "to", "on", d),
        "the entry or the root was changed",
    ),
    (
        "time_edited",
        "the withdrawal a day later",
        partial(_set, lambda d: _entry(d, WITHDRAWAL), "recorded_at", "2025-09-08T00:00:00.000000Z"),
        "the entry or the root was changed",
    ),
    (
        "nonce_edited",
        "another nonce",
        partial(_set, lambda d: _entry(d, USE), "nonce", "0" * 32),
        "the entry or the root was changed",
    ),
    (
        "map_length_lowered",
        "length and head as before the withdrawal",
        _shorten,
        "the proof, the length, the head or the root was changed",
    ),
    (
        "length_raised",
        "a length of 5",
        partial(_set, lambda d: _proof(d)["own"], "n", 5),
        "the length, the head or the root was changed",
    ),
    ("length_zero", "a length of 0", partial(_set, lambda d: _proof(d)["own"], "n", 0), "`int` >= 1"),
    (
        "false_absence_empty",
        "an empty place where the stream is",
        _hide,
        "the proof, the length, the head or the root was changed",
    ),
    ("false_absence_other", "another's leaf that does not lie on the path", _hide_behind, "found one that lies off it"),
    (
        "two_ends",
        "a proof with two ends",
        lambda d: _proof(d).update(other={"key": _ZEROS, "value": _ZEROS}),
        "expected one end of a map proof",
    ),
    (
        "sibling_missing",
        "a map proof without its last sibling",
        partial(_sibling, lambda s: s.pop()),
        "under the root of the map's entry",
    ),
    (
        "sibling_surplus",
        "a map proof with a sibling too many",
        partial(_sibling, lambda s: s.append(_ZEROS)),
        "under the root of the map's entry",
    ),
    (
        "siblings_257",
        "more siblings than a key has bits",
        partial(_sibling, lambda s: s.extend([_ZEROS] * 257)),
        "at most 256 siblings",
    ),
    (
        "sibling_short",
        "a sibling of 31 bytes",
        partial(_sibling, lambda s: s.append("A" * 42 + "==")),
        "expected 32 bytes as a sibling",
    ),
    ("hash_missing", "a path without its last hash", partial(_path, lambda p: p.pop()), "expected a whole path"),
    (
        "hash_surplus",
        "a path with a hash too many",
        partial(_path, lambda p: p.append(_ZEROS)),
        "expected no more hashes than a path has",
    ),
    (
        "hash_edited",
        "another hash in a path",
        partial(_path, lambda p: p.__setitem__(0, _ZEROS)),
        "the proof, the entry or the root was changed",
    ),
    (
        "hashes_64",
        "a path longer than any tree is high",
        partial(_path, lambda p: p.extend([_ZEROS] * 64)),
        "expected at most 63 hashes",
    ),
    (
        "position_moved",
        "the use at another position",
        partial(_set, lambda d: _own(d)[USE], "position", 5),
        "at position 5: expected the leaf",
    ),
    (
        "position_above_map",
        "an entry that the map does not cover",
        partial(_set, lambda d: _own(d)[3], "position", 8),
        "at rising positions up to 7",
    ),
    (
        "stream_left_out",
        "the run that a use names is left out",
        lambda d: d["streams"].pop(),
        "expected exactly the streams that the history refers to",
    ),
    (
        "terms_left_out",
        "the terms are left out",
        lambda d: d["streams"].pop(1),
        "expected exactly the streams that the history refers to",
    ),
    (
        "stream_surplus",
        "a stream that nothing refers to",
        lambda d: d["streams"].append(d["streams"][2]),
        "expected each stream once",
    ),
    (
        "streams_reordered",
        "the terms after the run",
        lambda d: d["streams"].insert(1, d["streams"].pop()),
        "expected exactly the streams that the history refers to",
    ),
    ("unknown_field", "a field that no check uses", lambda d: d.update(comment="trust me"), "unknown field `comment`"),
    ("null_field", "null where a field does not apply", lambda d: _proof(d).update(other=None), "got `null`"),
    ("version_2", "a bundle of another version", lambda d: d.update(v=2), "Invalid enum value 2"),
    (
        "run_edited",
        "the run started before the withdrawal was made",
        lambda d: d["streams"][2]["entries"][0]["entry"]["data"].update(started_at="2025-09-01T00:00:00.000000Z"),
        "version 1 of run/r1",
    ),
    (
        "terms_edited",
        "the terms say that a withdrawal counts for later runs only",
        lambda d: d["streams"][1]["entries"][0]["entry"]["data"].update(withdrawal="future-runs"),
        "version 1 of terms",
    ),
]


def _bytes_changed() -> Iterator[Case]:
    """Damages that no parser of JSON would notice, or that stop one."""
    spaced = GOOD.replace(b'"v":1}', b'"v": 1}')
    entry_spaced = GOOD.replace(b'"to":"off"', b'"to": "off"')
    twice = GOOD[:-1] + b',"v":1}'
    entry_twice = GOOD.replace(b'"to":"off"', b'"to":"on","to":"off"')
    escaped = GOOD.replace(b'"surface":"privacy-settings"', b'"surface":"privacy\\u002dsettings"')
    assert len({GOOD, spaced, entry_spaced, twice, entry_twice, escaped}) == 6
    for name, why, data, says in [
        ("respaced", "a space in the document", spaced, "in canonical JSON (RFC 8785)"),
        ("event_respaced", "a space in an entry", entry_spaced, "the entry or the root was changed"),
        ("duplicate_key", "a key twice in the document", twice, "in canonical JSON (RFC 8785)"),
        (
            "event_duplicate_key",
            "a key twice in an entry, whose last says off",
            entry_twice,
            "the entry or the root was changed",
        ),
        ("event_escaped", "another way to write the same text", escaped, "the entry or the root was changed"),
        ("line_end", "a line end after the document", GOOD + b"\n", "in canonical JSON (RFC 8785)"),
        ("byte_order_mark", "a byte order mark before it", b"\xef\xbb\xbf" + GOOD, "expected a"),
        ("cut_off", "the first half of a bundle", GOOD[: len(GOOD) // 2], "JSON that cannot be read"),
        ("empty", "a file of no bytes", b"", "expected a"),
        (
            "not_utf8",
            "bytes that are no text",
            GOOD.replace(b"pop-up", b"pop\xffup"),
            "the entry or the root was changed",
        ),
        ("deep", "lists in lists, a thousand deep", b"[" * 1000 + b"]" * 1000, "expected a"),
    ]:
        yield _bundle(f"{name}_fail", why, data, says)


def _other_people() -> Iterator[Case]:
    log = a_person()
    other = log.bundle_file(OTHER)
    yield _bundle(
        "other_subject_fail", "another person's complete history, which itself is right", other, "found one of stream"
    )
    by_id = (*VERIFY[:-1], f"id:{SUBJECT_ID.hex()}")
    yield _bundle("subject_by_id", "the subject's id names the same stream", GOOD, "nothing left out", by_id)
    folded = edited(GOOD, lambda d: _own(d).append(json.loads(other)["streams"][0]["entries"][0]))
    yield _bundle(
        "other_stream_folded_in_fail",
        "another person's entry among the subject's",
        folded,
        "entries were left out or added",
    )
    named = edited(other, lambda d: d["streams"][0].update(stream=SUBJECT))
    yield _bundle(
        "other_subject_renamed_fail",
        "another person's history under the subject's stream",
        named,
        "the proof, the length, the head or the root was changed",
    )
    nobody = "key:" + "ab" * 32
    absent = log.bundle_file("ab" * 32)
    yield _bundle("absent", "nothing was ever recorded about this one", absent, "nothing", (*VERIFY[:-1], nobody))
    yield _bundle(
        "absent_unnamed_fail",
        "absence, of somebody whom nobody named",
        absent,
        "proven only to who names them",
        VERIFY[:-2],
    )


def _maps() -> Iterator[Case]:
    """What an operator who holds the log's key can try with maps."""
    log = a_person()
    log.append(OTHER, given.accepted(), "9")
    why = "a newer checkpoint, which ends in no map, over the map of before"
    yield _bundle("map_not_last_fail", why, edited(GOOD, partial(_put_under, log)), "the map's entry, at position 9")

    log = a_person()
    old = log.checkpoint()
    log.append(SUBJECT, given.toggled("on"), "9")
    log.publish("10", covers=7)
    yield Case(
        "map_behind_checkpoint_fail",
        "a new map that covers less than an earlier checkpoint has",
        {"bundle.json": log.bundle_file(), "earlier.txt": old, "policy.txt": POLICY},
        ("bundle.json", "earlier.txt", *VERIFY[1:]),
        "found that it covers 7",
    )
    yield _bundle(
        "stale_map_fail",
        "a checkpoint signed today over a map of September 2025",
        GOOD,
        "ask for a new one",
        (*VERIFY, "--max-age", "1d"),
    )

    shortened = SmallLog().terms()
    for stored in a_person().entries[1:7]:
        shortened.append_bytes(stored)
    shortened.publish("8", without={7})
    cut_short = format_bundle(shortened.bundle(checkpoint=_without_auditor(shortened)))
    why = "the operator's map leaves the withdrawal out; everybody signed but the auditor"
    yield _bundle("map_cut_short_fail", why, cut_short, "expected the cosignatures of the quorum everybody")
    yield Case(
        "map_cut_short_bare_key",
        "the same under a bare key, which nobody vouches for: this is what an auditor is for",
        {"bundle.json": cut_short},
        ("bundle.json", "--key", shortened.log_key.verifier.text, *VERIFY[3:]),
        "no auditor vouches",
    )


def _put_under(log: SmallLog, document: Any) -> None:
    """The same entries under the log's newest checkpoint, each with a path that is right there."""
    document["checkpoint"] = log.checkpoint().decode()
    document["map"]["inclusion"] = [encode_base64(one) for one in log.path(8)]
    for stream in document["streams"]:
        for entry in stream["entries"]:
            entry["inclusion"] = [encode_base64(one) for one in log.path(entry["position"])]


def _without_auditor(log: SmallLog) -> bytes:
    *kept, last, end = log.checkpoint().split(b"\n")
    assert b"consent-ledger-audit" in last
    return b"\n".join([*kept, end])


def _verdicts() -> Iterator[Case]:
    log = SmallLog().terms()
    log.append(SUBJECT, given.shown(), "2")
    log.append(SUBJECT, given.accepted(), "3")
    log.append(SUBJECT, given.toggled("off"), "4")
    log.run("6")
    log.append(SUBJECT, used([item("chat-1", "5")], basis=2), "6 11:00")
    log.publish("8")
    yield _bundle(
        "violation_fail",
        "an honest log: items collected after the withdrawal were used",
        log.bundle_file(),
        "a use lies outside what was allowed",
    )
