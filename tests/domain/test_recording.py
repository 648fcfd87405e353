"""What may be recorded about a person: given, when, then (design, section 4, "Recording")."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from msgspec import UNSET, UnsetType, structs

from ledger.domain.consent import record_of
from ledger.domain.entry import Entry, Imported
from ledger.domain.events import Cause, DataUsedForTraining, Event, SubjectEvent
from ledger.domain.recording import NewEvent, Request, decide
from ledger.domain.terms import Terms, Toggle
from ledger.domain.times import format_time
from ledger.errors import ConsentLedgerError, Refused, SubjectErased
from tests.domain.given import (
    ERASED,
    SHIPPED,
    STREAM,
    TRAINING,
    accepted,
    at,
    catalogue,
    shown,
    stream,
    terms,
    toggled,
    used,
)

NOW = "10"
TWO = terms("2026-01-15", purposes={TRAINING: ["chat"], "research": ["chat"]})
RESEARCH = terms("2026-02-01", purposes={"research": ["chat"]})


@dataclass(frozen=True)
class When:
    """A request, decided on a stream."""

    entries: list[Entry]
    request: Request
    now: str
    published: tuple[Terms, ...]

    def _decide(self) -> list[NewEvent]:
        record = record_of(STREAM, self.entries, catalogue(*self.published))
        return decide(record, self.request, at(self.now))

    def then(
        self,
        event: Event,
        *,
        occurred: str | None = None,
        recorded: str | None = None,
        imported: Imported | UnsetType = UNSET,
        evidence: str | UnsetType = UNSET,
    ) -> None:
        recorded = recorded or self.now
        assert self._decide() == [
            NewEvent(
                event=event,
                occurred_at=format_time(at(occurred or recorded)),
                recorded_at=format_time(at(recorded)),
                imported=imported,
                evidence=evidence,
            )
        ]

    def then_recorded(self) -> None:
        self.then(self.request.event)

    def then_refused(self, match: str, kind: type[ConsentLedgerError] = Refused) -> None:
        with pytest.raises(kind, match=match):
            self._decide()


@dataclass(frozen=True)
class Given:
    entries: list[Entry]
    published: tuple[Terms, ...] = (SHIPPED, TWO, RESEARCH)

    def when(self, request: Request | SubjectEvent, now: str = NOW) -> When:
        wanted = request if isinstance(request, Request) else Request(request)
        return When(self.entries, wanted, now, self.published)


NOTHING = Given([])
SHOWN = Given(stream((shown(), "2")))
ACCEPTED = Given(stream((shown(), "2"), (accepted(), "3")))
ERASED_PERSON = Given(stream((shown(), "2"), (accepted(), "3"), (ERASED, "4")))


# Publication, notice and Accept come first, by position.


def test_a_notice_of_published_terms_is_recorded() -> None:
    NOTHING.when(shown()).then_recorded()


def test_a_notice_of_terms_that_nobody_published_is_refused() -> None:
    NOTHING.when(shown(terms("2027-01-01"))).then_refused("'2027-01-01', which is not; publish it first")


def test_a_notice_with_another_wording_is_refused() -> None:
    other = terms(purposes={TRAINING: ["chat", "coding-session"]})
    NOTHING.when(shown(other)).then_refused("expected the notice of terms 2025-09-28")


def test_an_accept_after_its_notice_is_recorded() -> None:
    SHOWN.when(accepted(touched=(TRAINING,))).then_recorded()


def test_an_accept_of_terms_that_nobody_published_is_refused() -> None:
    SHOWN.when(accepted(terms("2027-01-01"), toggles={TRAINING: "off"})).then_refused("publish it first")


def test_what_comes_before_is_checked_by_position_never_by_time() -> None:
    # The ledger may be filled with the past: terms of September, and acts of years before them.
    SHOWN.when(Request(accepted(), occurred=at("1970-01-01T00:00:00Z"))).then(
        accepted(), occurred="1970-01-01T00:00:00Z", recorded=NOW
    )
    NOTHING.when(Request(shown(), occurred=at("1970-01-01T00:00:00Z"))).then(
        shown(), occurred="1970-01-01T00:00:00Z", recorded=NOW
    )


# Accepts without a notice.


def test_an_accept_without_a_notice_is_refused_when_all_is_on() -> None:
    NOTHING.when(accepted(touched=(TRAINING,))).then_refused("found none in the stream; record terms-shown first")
    NOTHING.when(accepted(TWO)).then_refused("record terms-shown first")


def test_an_accept_after_the_notice_of_another_version_is_refused_when_all_is_on() -> None:
    SHOWN.when(accepted(TWO)).then_refused("expected a notice of terms 2026-01-15")


def test_an_accept_without_a_notice_is_stored_where_one_toggle_is_off() -> None:
    NOTHING.when(accepted(TWO, toggles={TRAINING: "on", "research": "off"})).then_recorded()
    NOTHING.when(accepted(toggles={TRAINING: "off"})).then_recorded()


# Toggles.


@pytest.mark.parametrize("cause", ["person", "administrator", "migration"])
def test_a_withdrawal_can_always_be_recorded(cause: Cause) -> None:
    off = toggled("off", cause=cause)
    for before in (NOTHING, SHOWN, ACCEPTED, Given(stream((off, "2"), (off, "3")))):
        before.when(off).then_recorded()


def test_a_withdrawal_is_recorded_of_a_purpose_that_newly_accepted_terms_no_longer_name() -> None:
    moved_on = Given(stream((shown(), "2"), (accepted(), "3"), (shown(RESEARCH), "4"), (accepted(RESEARCH), "5")))
    moved_on.when(toggled("off")).then_recorded()


def test_a_withdrawal_of_a_purpose_that_nobody_ever_published_is_refused() -> None:
    ACCEPTED.when(toggled("off", purpose="advertising")).then_refused("found 'advertising'")


@pytest.mark.parametrize("cause", ["person", "administrator", "migration"])
def test_an_on_needs_an_accept_before_it(cause: Cause) -> None:
    on = toggled("on", cause=cause)
    NOTHING.when(on).then_refused("expected an Accept before a toggle is set to on")
    SHOWN.when(on).then_refused("expected an Accept before a toggle is set to on")
    ACCEPTED.when(on).then_recorded()


def test_an_on_may_follow_an_accept_that_said_off() -> None:
    Given(stream((accepted(toggles={TRAINING: "off"}), "3"))).when(toggled("on")).then_recorded()


def test_an_on_of_a_purpose_that_was_not_accepted_is_refused() -> None:
    ACCEPTED.when(toggled("on", purpose="research")).then_refused("only what was accepted can be set to on")


def test_the_same_toggle_twice_is_two_events() -> None:
    twice = Given(stream((shown(), "2"), (accepted(), "3"), (toggled("on"), "4")))
    twice.when(toggled("on")).then_recorded()
    twice.when(toggled("off")).then_recorded()


# `toggles` has exactly the purposes of its terms.


@pytest.mark.parametrize(
    "toggles",
    [{TRAINING: "on"}, {TRAINING: "on", "research": "on", "advertising": "off"}, {"advertising": "off"}],
)
def test_toggles_name_exactly_the_purposes_of_their_terms(toggles: dict[str, Toggle]) -> None:
    both = Given(stream((shown(TWO), "2")))
    both.when(accepted(TWO, toggles=toggles)).then_refused("exactly the purposes of terms 2026-01-15")
    both.when(structs.replace(shown(TWO), toggles=toggles)).then_refused("exactly the purposes of terms")


# Nothing is recorded for an erased subject.


@pytest.mark.parametrize(
    "event",
    [shown(), accepted(), toggled("off"), toggled("on"), used("3", attested=True), used("3", basis=2), ERASED],
    ids=lambda event: type(event).__name__,
)
def test_nothing_is_recorded_about_an_erased_person(event: SubjectEvent) -> None:
    ERASED_PERSON.when(event).then_refused("nothing more is recorded about them", SubjectErased)


def test_an_erasure_is_recorded_of_anybody() -> None:
    NOTHING.when(ERASED).then_recorded()
    ACCEPTED.when(ERASED).then_recorded()


# Uses.


def test_a_use_from_outside_is_stored_whatever_the_verdict_and_its_basis_filled_in() -> None:
    report = used("4", until="5", attested=True)
    NOTHING.when(report).then_recorded()
    SHOWN.when(report).then_recorded()
    ACCEPTED.when(report).then(used("4", until="5", attested=True, basis=2))
    Given(stream((accepted(toggles={TRAINING: "off"}), "2"))).when(report).then_recorded()


def test_a_use_from_outside_names_the_grant_that_starts_last() -> None:
    again = Given(stream((shown(), "2"), (accepted(), "3"), (toggled("on"), "4 12:00")))
    again.when(used("4", attested=True)).then(used("4", attested=True, basis=2))
    again.when(used("5", attested=True)).then(used("5", attested=True, basis=3))


def test_a_use_from_outside_has_no_basis_where_no_one_grant_covers_all_its_items() -> None:
    on_off_on = Given(stream((shown(), "2"), (accepted(), "3"), (toggled("off"), "5"), (toggled("on"), "7")))
    for collected, until in (("4", "8"), ("4", "6"), ("6", "8"), ("2", "4")):
        on_off_on.when(used(collected, until=until, attested=True)).then_recorded()


def test_a_basis_that_was_given_is_left_alone() -> None:
    ACCEPTED.when(used("4", attested=True, basis=1)).then_recorded()
    ACCEPTED.when(used("4", basis=1)).then_recorded()


def test_a_use_of_a_purpose_that_nobody_decided_on_is_stored() -> None:
    report: DataUsedForTraining = used("4", attested=True, purpose="advertising")
    ACCEPTED.when(report).then_recorded()


# Times.


def test_what_happens_now_has_the_ledgers_time() -> None:
    ACCEPTED.when(toggled("off")).then(toggled("off"), occurred=NOW, recorded=NOW)


def test_a_given_time_is_when_the_person_acted_be_it_past_or_future() -> None:
    for occurred in ("1", "30"):
        request = Request(toggled("off"), occurred=at(occurred))
        ACCEPTED.when(request).then(toggled("off"), occurred=occurred, recorded=NOW)


def test_the_time_of_recording_never_falls_within_a_stream() -> None:
    ACCEPTED.when(toggled("off"), now="2").then(toggled("off"), recorded="3")
    request = Request(toggled("off"), occurred=at("1"))
    ACCEPTED.when(request, now="2").then(toggled("off"), occurred="1", recorded="3")


def test_evidence_stays_with_its_event() -> None:
    request = Request(toggled("off"), evidence="e" * 64)
    ACCEPTED.when(request).then(toggled("off"), evidence="e" * 64)


def _import(occurred: str | None = None, recorded: str | None = None) -> Request:
    return Request(
        toggled("off"),
        occurred=at(occurred) if occurred else None,
        recorded=at(recorded) if recorded else None,
        source="old system",
    )


def _mark(source_recorded: str | None = None) -> Imported:
    moved = format_time(at(source_recorded)) if source_recorded else UNSET
    return Imported(at=format_time(at(NOW)), source="old system", recorded_at=moved)


def test_an_import_keeps_its_sources_time() -> None:
    ACCEPTED.when(_import("4", "5")).then(toggled("off"), occurred="4", recorded="5", imported=_mark())
    ACCEPTED.when(_import(recorded="5")).then(toggled("off"), occurred="5", recorded="5", imported=_mark())
    ACCEPTED.when(_import(occurred="5")).then(toggled("off"), occurred="5", recorded="5", imported=_mark())
    ACCEPTED.when(_import(recorded=NOW)).then(toggled("off"), recorded=NOW, imported=_mark())


def test_an_import_older_than_the_streams_last_entry_is_moved_and_says_so() -> None:
    ACCEPTED.when(_import("1", "2")).then(toggled("off"), occurred="1", recorded="3", imported=_mark("2"))
    ACCEPTED.when(_import("1", "3")).then(toggled("off"), occurred="1", recorded="3", imported=_mark())


def test_an_import_from_the_future_is_refused() -> None:
    ACCEPTED.when(_import(recorded="10 10:00:00.000001")).then_refused("expected an import recorded by now")
    ACCEPTED.when(_import(occurred="11")).then_refused("expected an import recorded by now")


def test_an_import_without_any_time_is_refused() -> None:
    ACCEPTED.when(_import()).then_refused("found neither; add one")


def test_deciding_again_after_a_conflict_gives_the_right_answer() -> None:
    # Between the first decision and the second the person was erased, or a grant came in.
    request = Request(used("4", attested=True))
    SHOWN.when(request).then_recorded()
    ACCEPTED.when(request).then(used("4", attested=True, basis=2))
    ERASED_PERSON.when(request).then_refused("nothing more is recorded", SubjectErased)
