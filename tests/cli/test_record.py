"""`consent record`: what it stores, what it prints, and that the same key is the same event."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from ledger.application import ConsentLedger
from ledger.domain.entry import Entry
from ledger.domain.names import subject_stream
from ledger.domain.terms import Terms
from ledger.keyring import create_keys, keys_folder, read_keyring
from ledger.proof.policy import trust_of_keys
from ledger.proof.promise import open_receipt, parse_receipt
from ledger.sequencer import sequence
from ledger.settings import Place
from tests import builders
from tests.cli.conftest import RunCli
from tests.domain import given

TWO = given.terms("two", purposes={"research": ["chat"], "training": ["chat", "voice"]})


def printed(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    fields: dict[str, Any] = json.loads(done.stdout)
    return fields


def entry_at(ledger: ConsentLedger, stream: str, version: int) -> Entry:
    return ledger.entries_of(stream)[version - 1][1]


def test_a_showing_an_accept_and_a_change_with_nothing_said_beyond_the_plan(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli
) -> None:
    ledger.publish(builders.TERMS)
    shown = printed(run_cli("--json", "record", "terms-shown", "ann", "--plan", "pro", place=ledger_place))
    accepted = printed(run_cli("--json", "record", "accepted", "ann", "--plan", "max", place=ledger_place))
    changed = printed(run_cli("--json", "record", "toggle-changed", "ann", "--to", "off", place=ledger_place))
    stream = shown["stream"]
    assert [(one["position"], one["version"], one["repeated"]) for one in (shown, accepted, changed)] == [
        (2, 1, False),
        (3, 2, False),
        (4, 3, False),
    ]
    assert stream == ledger.subject("ann").stream
    notice, accept, off = (entry for _, entry in ledger.entries_of(stream))
    assert notice.data == given.shown(builders.TERMS).__class__(
        terms=given.V1,
        notice=builders.TERMS.notice_hash(),
        toggles={given.TRAINING: "on"},
        plan="pro",
        surface="command-line",
        locale="und",
    )
    assert (accept.data.terms, accept.data.toggles, accept.data.touched) == (given.V1, {given.TRAINING: "on"}, [])
    assert (off.data.purpose, off.data.to, off.data.cause, off.data.plan) == (given.TRAINING, "off", "person", _UNSET)
    # Recorded by the ledger's clock, and it happened then.
    assert notice.occurred_at == notice.recorded_at == shown["recorded_at"]


_UNSET = given.toggled("on").plan


def test_everything_that_can_be_said(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, tmp_path: Path
) -> None:
    ledger.publish(TWO)
    ledger.publish(builders.TERMS)
    evidence = tmp_path / "evidence"
    evidence.write_bytes(b"198.51.100.7 Mozilla\x00\xff")
    where = ["--plan", "pro", "--surface", "iOS pop-up", "--occurred-at", "2025-09-03T12:00:00+02:00"]
    toggles = ["--terms", "two", "--toggle", "training=off"]
    shown = printed(
        run_here("--json", "record", "terms-shown", "ann", *where, *toggles, "--locale", "de", place=ledger_place)
    )
    touched = ["--touched", "training", "--touched", "research", "--evidence", evidence]
    accepted = printed(run_here("--json", "record", "accepted", "ann", *where, *toggles, *touched, place=ledger_place))
    more = ["--purpose", "research", "--to", "on", "--cause", "administrator", "--plan", "max"]
    changed = printed(run_here("--json", "record", "toggle-changed", "ann", *more, place=ledger_place))

    notice = entry_at(ledger, shown["stream"], 1)
    assert notice.occurred_at == "2025-09-03T10:00:00.000000Z"
    assert notice.recorded_at > "2026"
    assert (notice.data.terms, notice.data.locale, notice.data.surface) == ("two", "de", "iOS pop-up")
    assert notice.data.notice == TWO.notice_hash()
    assert notice.data.toggles == {"research": "on", "training": "off"}
    accept = entry_at(ledger, accepted["stream"], 2)
    assert accept.data.toggles == {"research": "on", "training": "off"}
    assert accept.data.touched == ["research", "training"]
    with builders.admin(ledger_place) as connection:
        kept = connection.execute("SELECT stream, digest, body FROM ledger.evidence").fetchall()
    assert [(stream, bytes(digest).hex(), bytes(body)) for stream, digest, body in kept] == [
        (accepted["stream"], accept.evidence, evidence.read_bytes())
    ]
    change = entry_at(ledger, changed["stream"], 3)
    assert (change.data.purpose, change.data.to, change.data.cause, change.data.plan) == (
        "research",
        "on",
        "administrator",
        "max",
    )


def test_the_same_key_is_the_same_event_and_another_request_under_it_is_refused(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli
) -> None:
    builders.grant(ledger, "ann")
    once = printed(run_here("--json", "record", "toggle-changed", "ann", "--to=off", "--key=k", place=ledger_place))
    again = printed(run_here("--json", "record", "toggle-changed", "ann", "--to=off", "--key=k", place=ledger_place))
    assert again == {**once, "repeated": True}
    other = run_here("record", "toggle-changed", "ann", "--to=on", "--key=k", place=ledger_place)
    assert (other.returncode, other.stdout) == (1, "")
    assert "under this key" in other.stderr
    assert ledger.recorder.head() == once["position"]


def test_for_people_it_says_where_it_stands(ledger: ConsentLedger, ledger_place: Place, run_here: RunCli) -> None:
    ledger.publish(builders.TERMS)
    done = run_here("record", "terms-shown", "ann", "--plan", "pro", "--key", "k", place=ledger_place)
    stream = ledger.subject("ann").stream
    where = f"terms-shown: recorded at position 2, version 1 of key:{stream}; a checkpoint covers it by "
    assert re.fullmatch(re.escape(where) + r"\S+Z\n", done.stdout)
    again = run_here("record", "terms-shown", "ann", "--plan", "pro", "--key", "k", place=ledger_place)
    assert "nothing to do: recorded before at position 2" in again.stdout


def test_the_receipt_promises_what_was_recorded(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, tmp_path: Path
) -> None:
    ledger.publish(builders.TERMS)
    file = tmp_path / "receipt.json"
    arguments = ["record", "terms-shown", "ann", "--plan=pro", "--key=k", "--receipt", file]
    told = printed(run_here("--json", *arguments, place=ledger_place))
    receipt = parse_receipt(file.read_bytes())
    assert file.stat().st_mode & 0o077 == 0
    assert told["receipt"] == json.loads(file.read_bytes())
    assert receipt.entry == builders.whole_log(ledger_place)[1][-1]
    ring = read_keyring(ledger_place.state, ledger.identity.id, ledger.identity.origin)
    assert ring.receipts is not None
    promise = open_receipt(receipt, trust_of_keys([ring.receipts.verifier]))
    assert (promise.stream, promise.position, promise.recorded) == (told["stream"], 2, told["recorded_at"])
    # Asked again before a checkpoint it is the same, and after it there is nothing left to promise.
    first = file.read_bytes()
    assert run_here(*arguments, place=ledger_place).stdout.endswith(
        f"; a checkpoint covers it by {promise.covered_by}\n"
    )
    assert file.read_bytes() == first
    sequence(ledger)
    file.unlink()
    covered = run_here("--json", *arguments, place=ledger_place)
    assert (covered.returncode, json.loads(covered.stdout)["receipt"]) == (0, None)
    assert "`consent prove --entry 2` gives its proof" in covered.stderr
    assert not file.exists()


def test_what_cannot_be_promised_is_recorded_all_the_same(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, tmp_path: Path
) -> None:
    ledger.publish(builders.TERMS)
    key = keys_folder(ledger_place.state, ledger.identity.id) / "receipts.key"
    key.chmod(0o644)
    for says in ("readable by its owner only", "found none"):
        done = run_here("--json", "record", "terms-shown", "ann", "--plan=pro", place=ledger_place)
        assert (done.returncode, json.loads(done.stdout)["receipt"]) == (0, None)
        assert done.stderr.startswith("no receipt: expected ")
        assert says in done.stderr
        key.unlink(missing_ok=True)
    assert ledger.recorder.head() == 3
    # That the file cannot be written comes too late to undo anything, and is said.
    create_keys(ledger_place.state, ledger.identity.id, ledger.identity.origin)
    nowhere = tmp_path / "none" / "receipt.json"
    done = run_here("record", "terms-shown", "ann", "--plan=pro", "--receipt", nowhere, place=ledger_place)
    assert done.returncode == 0
    assert "recorded at position 4" in done.stdout
    assert done.stderr.startswith("no receipt in a file: expected to write ")
    assert "`consent prove --entry 4 -o FILE` writes it again" in done.stderr


def test_a_person_is_named_by_id_and_by_key_too_but_not_made_by_them(
    ledger: ConsentLedger, ledger_place: Place, run_here: RunCli
) -> None:
    builders.grant(ledger, "ann")
    subject = ledger.subject("ann")
    assert subject.subject_id is not None
    for position, name in enumerate([f"id:{subject.subject_id.hex()}", f"key:{subject.stream}"], start=4):
        done = run_here("--json", "record", "toggle-changed", name, "--to", "off", place=ledger_place)
        assert printed(done)["position"] == position
    for nobody in (f"id:{bytes(16).hex()}", f"key:{subject_stream(bytes(16))}"):
        done = run_here("record", "toggle-changed", nobody, "--to", "off", place=ledger_place)
        assert done.returncode == 1
    assert ledger.recorder.head() == 5


@pytest.mark.parametrize(
    ("published", "arguments", "status", "says"),
    [
        ([], ["terms-shown", "ann", "--plan", "pro"], 1, "expected published terms, found none"),
        ([TWO], ["terms-shown", "ann", "--plan", "pro", "--terms", "one"], 1, "expected published terms one"),
        ([TWO], ["terms-shown", "ann"], 2, "'--plan'"),
        ([TWO], ["terms-shown", "ann", "--plan", "pro", "--toggle", "other=on"], 2, "found 'other'"),
        (
            [TWO],
            ["terms-shown", "ann", "--plan", "pro", "--toggle", "research=on", "--toggle", "research=off"],
            2,
            "found 'research' twice",
        ),
        ([TWO], ["terms-shown", "ann", "--plan", "pro", "--toggle", "research"], 2, "expected PURPOSE=on"),
        ([TWO], ["terms-shown", "ann", "--plan", "pro", "--evidence", "/nowhere"], 3, "No such file"),
        ([TWO], ["accepted", "ann", "--plan", "pro", "--touched", "other"], 2, "found other"),
        ([TWO], ["accepted", "ann", "--plan", "pro"], 1, "expected a notice of terms two"),
        ([TWO], ["toggle-changed", "ann", "--to", "off"], 2, "name one"),
        ([TWO], ["toggle-changed", "ann", "--to", "off", "--purpose", "other"], 2, "found 'other'"),
        ([TWO], ["toggle-changed", "ann", "--purpose", "training"], 2, "'--to'"),
        ([TWO], ["toggle-changed", "ann", "--to", "on", "--purpose", "training"], 1, "expected an Accept before"),
        ([TWO], ["toggle-changed", "ann", "--to", "off", "--occurred-at", "2025-09-03T10:00:00"], 2, "an offset"),
    ],
)
def test_what_cannot_be_recorded_is_said_in_one_sentence_and_leaves_nothing(
    ledger: ConsentLedger,
    ledger_place: Place,
    run_here: RunCli,
    published: list[Terms],
    arguments: list[str],
    status: int,
    says: str,
) -> None:
    for terms in published:
        ledger.publish(terms)
    done = run_here("record", *arguments, place=ledger_place)
    assert (done.returncode, done.stdout) == (status, "")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert ledger.recorder.head() == len(published)
    assert ledger.identities.find(["ann"])["ann"].stream is None
