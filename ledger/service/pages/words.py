"""A person's entries and states as sentences to that person."""

from __future__ import annotations

from datetime import datetime

from ledger.domain.as_of import NotCounting
from ledger.domain.entry import Entry
from ledger.domain.events import Accepted, DataUsedForTraining, TermsShown, ToggleChanged
from ledger.domain.terms import Catalogue, Toggle, Toggles
from ledger.domain.times import parse_time

SWITCH: dict[Toggle, str] = {"on": "On", "off": "Off"}
_CAUSES = {"person": "by you", "administrator": "by an administrator", "migration": "by a migration of systems"}
_NOT_COUNTING = {
    "not-a-person": "it was not you who set it",
    "no-notice": "the terms were not shown to you before",
    "untouched-default": "nobody touched the toggle, and under these terms that is no consent",
    "no-terms": "the terms it belongs to are not known",
    "starts-later": "it begins later",
    "barred": "an Off stands against it",
    "untouched-after-off": "an Off that you set stands against a toggle that nobody touched",
}


def moment(given: datetime | str) -> str:
    """To the second: more says nothing to a person."""
    when = parse_time(given) if isinstance(given, str) else given
    return f"{when.day} {when:%B %Y, %H:%M:%S} UTC"


def setting(purpose: str, catalogue: Catalogue) -> str:
    """What the settings call a purpose: as the terms published last that have it do."""
    named = [found for terms in catalogue.all() if (found := terms.purpose(purpose))]
    return named[-1].settings_wording if named else purpose


def touch(*, operated: bool) -> str:
    """How a toggle came to stand where it did."""
    return "set by you" if operated else "untouched: it stood there when you were shown it"


def in_words(entry: Entry, catalogue: Catalogue) -> str:
    """What happened."""
    match entry.data:
        case TermsShown() as shown:
            return (
                f"You were shown “{_title(shown.terms, catalogue)}” ({shown.terms}) on the surface {shown.surface}, "
                f"for the plan {shown.plan}, with {_toggles(shown.toggles, catalogue)}."
            )
        case Accepted() as accepted:
            return (
                f"You accepted “{_title(accepted.terms, catalogue)}” ({accepted.terms}) on the surface "
                f"{accepted.surface}, with {_toggles(accepted.toggles, catalogue, accepted.touched)}."
            )
        case ToggleChanged() as changed:
            return (
                f"“{setting(changed.purpose, catalogue)}” was turned {SWITCH[changed.to]} {_CAUSES[changed.cause]}, "
                f"on the surface {changed.surface}."
            )
        case DataUsedForTraining() as use:
            rests = "no grant that was named" if not isinstance(use.basis, int) else f"your entry {use.basis}"
            reported = " It was reported from elsewhere." if use.attested else ""
            return (
                f"{_items(use.items)} collected from {moment(use.collected_from)} to {moment(use.collected_until)} "
                f"went into the training run {use.run} for {use.purpose}; the use rests on {rests}.{reported}"
            )
        case _:
            return f"An entry of the kind {entry.event}."


def why_not(one: NotCounting) -> str:
    """Why an On does not count."""
    until = f", until {moment(one.until)}" if one.until else ""
    return f"An On stands in your history that does not count: {_NOT_COUNTING[one.why]}{until}."


def _title(version: str, catalogue: Catalogue) -> str:
    terms = catalogue.get(version)
    return version if terms is None else terms.title


def _toggles(toggles: Toggles, catalogue: Catalogue, touched: list[str] | None = None) -> str:
    return "; ".join(
        f"“{setting(purpose, catalogue)}” {SWITCH[to]}"
        + ("" if touched is None else f" ({touch(operated=purpose in touched)})")
        for purpose, to in toggles.items()
    )


def _items(items: dict[str, int]) -> str:
    return ", ".join(f"{count} × {kind}" for kind, count in sorted(items.items()))
