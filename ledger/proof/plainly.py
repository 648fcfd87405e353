"""Uses that are plainly allowed, seen without making a consent of their stream: nearly all of an honest log.

What is plain is `judge_uses`'s answer too, as a property test holds; of what is not plain, nothing is said here. Times
stay the texts that entries write, which sort as they follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from ledger.domain.events import Accepted, RunStarted, SubjectErased, TermsShown, ToggleChanged
from ledger.domain.terms import Catalogue, Terms
from ledger.domain.times import add_duration, format_time, parse_time

_DAY = len("2025-09-28")


class Said(NamedTuple):
    """An entry that is no use: what a person was shown, or decided."""

    version: int
    occurred: str
    recorded: str
    data: Any


class Use(Protocol):
    """What is asked of a use; `basis` is a version, where it names one."""

    @property
    def purpose(self) -> str: ...
    @property
    def items(self) -> Any: ...
    @property
    def collected_from(self) -> str: ...
    @property
    def collected_until(self) -> str: ...
    @property
    def attested(self) -> bool: ...
    @property
    def basis(self) -> Any: ...


class PlainUses:
    """Says of uses, under some catalogue, whether they are plainly allowed."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._kept: dict[tuple[str, str], str] = {}

    def basis(self, version: int, use: Use, said: Sequence[Said], run: RunStarted) -> int | None:
        """Which of `said`, all of a stream but its uses by rising versions, plainly allows the use of this version.

        It does where no other decision by the end of what was used (and, under `future-runs`, by the run's start)
        starts after it as a grant, or is a withdrawal that it does not beat; as known and in hindsight alike.
        """
        if use.attested or run.purpose != use.purpose:
            return None
        found, terms = self._grant(use, said)
        if terms is None or said[found].version >= version:
            return None
        grant = said[found]
        if grant.occurred > use.collected_from or grant.recorded > use.collected_from:
            return None
        until = use.collected_until
        if terms.withdrawal != "future-data":
            until = max(until, run.started_at)
        if any(
            isinstance(one.data, SubjectErased)
            or (min(one.occurred, one.recorded) <= until and _disturbs(one, grant, use.purpose))
            for one in said
        ):
            return None
        purpose = terms.purpose(use.purpose)
        if purpose is None or not all(kind in purpose.data for kind in use.items):
            return None
        return found if self._kept_until(use.collected_from, terms) >= run.started_at else None

    def _grant(self, use: Use, said: Sequence[Said]) -> tuple[int, Terms | None]:
        """The grant that a use names, and its terms; None where it grants nothing, or that is not plain."""
        shown: list[str] = []
        accepted = None
        for place, one in enumerate(said):
            data = one.data
            if isinstance(data, TermsShown):
                shown.append(data.terms)
            elif isinstance(data, Accepted):
                accepted = self._catalogue.get(data.terms)
                if one.version == use.basis:
                    return place, accepted if _grants(data, use.purpose, shown, accepted) else None
            elif one.version == use.basis:
                is_grant = isinstance(data, ToggleChanged) and (data.purpose, data.to, data.cause) == (
                    use.purpose,
                    "on",
                    "person",
                )
                return place, accepted if is_grant else None
        return 0, None

    def _kept_until(self, collected: str, terms: Terms) -> str:
        """Until when what was collected at the start of that day is kept."""
        asked = collected[:_DAY], terms.retention.when_on
        if asked not in self._kept:
            start = parse_time(f"{asked[0]}T00:00:00.000000Z")
            self._kept[asked] = format_time(add_duration(start, asked[1]))
        return self._kept[asked]


def _grants(accepted: Accepted, purpose: str, shown: Sequence[str], terms: Terms | None) -> bool:
    return (
        accepted.toggles.get(purpose) == "on"
        and accepted.terms in shown
        and terms is not None
        and (purpose in accepted.touched or terms.untouched_default == "permitted")
    )


def _decision(data: Any, purpose: str) -> tuple[str | None, bool]:
    """What is said of the purpose, None where nothing is, and whether it is operated."""
    if isinstance(data, Accepted):
        return data.toggles.get(purpose), purpose in data.touched
    if isinstance(data, ToggleChanged) and data.purpose == purpose:
        return data.to, True
    return None, False


def _disturbs(other: Said, grant: Said, purpose: str) -> bool:
    """Whether a decision may take the place of a grant, or end it: by `Decision.start` and `Decision.beats`."""
    to, operated = _decision(other.data, purpose)
    if to is None or other is grant:
        return False
    if to == "on":
        return max(other.occurred, other.recorded) >= grant.occurred
    return (
        other.occurred >= grant.occurred
        or (other.recorded, other.version) >= (grant.recorded, grant.version)
        or (operated and not _decision(grant.data, purpose)[1])
    )
