"""A synthetic population that lives through a change of terms, as importable events, labelled as such.

The same terms, subjects and seed give the same bytes: no clock is read, and of the generator only `random()` is used,
whose numbers do not change between versions of Python. What one person does depends on the seed and their name alone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any, TypeVar

from ledger.domain.entry import canonical
from ledger.domain.terms import Terms, Toggle
from ledger.domain.times import format_time, start_of_day

POP_UP, CHECKOUT = "simulated-pop-up", "simulated-checkout"
SETTINGS, ADMINISTRATION = "simulated-privacy-settings", "simulated-administration"

#: How people behave, in percent. Most accept what is preset without noticing it; the rest is there so that every
#: rule about decisions has somebody to apply to.
BEHAVIOURS = {
    "never-shown": 5,
    "undecided": 9,
    "accepted-untouched": 49,
    "accepted-off": 13,
    "accepted-on": 4,
    "off-later": 9,
    "off-and-on-again": 4,
    "off-made-offline": 3,
    "off-by-administrator": 1,
    "shown-twice": 3,
}
_OPERATED_AT_ACCEPT: dict[str, Toggle] = {"accepted-off": "off", "accepted-on": "on"}
#: In percent of everybody: who has another plan from some day on, of those one in four one outside the terms.
PLAN_CHANGES = 12
OUTSIDE_PLAN = "simulated-team"

#: When people meet the pop-up: from the announcement to the deadline, and never longer than this.
SHOWN_WITHIN = timedelta(days=40)
OFF_AFTER = (timedelta(days=14), timedelta(days=180))
ON_AGAIN_AFTER = (timedelta(days=7), timedelta(days=75))
OFFLINE_FOR = (timedelta(hours=2), timedelta(days=9))
PLAN_CHANGES_AFTER = (timedelta(days=1), timedelta(days=250))
#: Nothing happens later than this after the announcement: the longest way through the spans above.
HORIZON = timedelta(days=300)

_T = TypeVar("_T")
_LOCALES = ("en", "en", "en", "de", "fr", "ja", "pt")


def subjects(count: int) -> Iterator[str]:
    """The names of a population of that size."""
    return (f"simulated-{number:07}" for number in range(1, count + 1))


def simulate(terms: Terms, named: Iterable[str], seed: int, counts: Counter[str]) -> Iterator[bytes]:
    """The import lines of everybody's life, person by person; `counts` takes how many behaved how."""
    for name in named:
        person = _Person(terms, name, Random(f"{seed} {terms.version} {name}"))  # noqa: S311 - to be repeatable
        behaviour = person.one_of_weighted(BEHAVIOURS)
        counts[behaviour] += 1
        yield from person.live(behaviour)


class _Person:
    """One person, and the events of their life so far."""

    def __init__(self, terms: Terms, name: str, chance: Random) -> None:
        self._terms = terms
        self._name = name
        self._random = chance.random
        self._lines: list[tuple[datetime, bytes]] = []
        self._locale = self._one_of(_LOCALES)
        self._plan = self._one_of(terms.plans)
        self._next_plan = self._plan
        announced = start_of_day(terms.announced)
        self._plan_changes = announced + self._between(*PLAN_CHANGES_AFTER)
        if self._random() * 100 < PLAN_CHANGES:
            self._next_plan = OUTSIDE_PLAN if self._random() < 0.25 else self._one_of(terms.plans)
        # Most meet the pop-up in its first days.
        window = min(max(terms.deadline - announced, timedelta(days=1)), SHOWN_WITHIN)
        self._shown = announced + _seconds(window * self._random() ** 2)
        self._purpose = self._one_of(terms.purposes)
        self._toggles: dict[str, Toggle] = {purpose.id: purpose.default for purpose in terms.purposes}

    def one_of_weighted(self, weights: dict[str, int]) -> str:
        at = self._random() * sum(weights.values())
        for name, weight in weights.items():
            at -= weight
            if at < 0:
                return name
        return name

    def live(self, behaviour: str) -> list[bytes]:
        """All that happens to this person, in the order it was recorded."""
        if behaviour != "never-shown":
            self._see(self._shown)
            if behaviour != "undecided":
                self._decide(behaviour)
            if self._next_plan != self._plan and self._plan_changes > self._shown:
                # Whoever buys another plan is shown what holds there.
                self._see(self._plan_changes, CHECKOUT)
        return [line for _, line in sorted(self._lines, key=lambda line: line[0])]

    def _decide(self, behaviour: str) -> None:
        if behaviour == "shown-twice":
            self._shown += self._between(timedelta(hours=6), timedelta(days=3))
            self._see(self._shown)
        accepted = self._shown + self._between(timedelta(seconds=3), timedelta(minutes=4))
        self._accept(accepted, _OPERATED_AT_ACCEPT.get(behaviour))
        self._change_later(behaviour, accepted)

    def _change_later(self, behaviour: str, accepted: datetime) -> None:
        changed = accepted + self._between(*OFF_AFTER)
        match behaviour:
            case "off-later":
                self._set("off", changed)
            case "off-and-on-again":
                self._set("off", changed)
                self._set("on", changed + self._between(*ON_AGAIN_AFTER))
            case "off-made-offline":
                self._set("off", changed, recorded=changed + self._between(*OFFLINE_FOR))
            case "off-by-administrator":
                self._set("off", changed, surface=ADMINISTRATION, cause="administrator")

    def _see(self, at: datetime, surface: str = POP_UP) -> None:
        self._happens(
            "terms-shown",
            at,
            terms=self._terms.version,
            notice=self._terms.notice_hash(),
            toggles=self._toggles,
            plan=self._plan_at(at),
            surface=surface,
            locale=self._locale,
        )

    def _accept(self, at: datetime, operated_to: Toggle | None) -> None:
        """Clicks Accept; `operated_to`: after operating the toggle, also where it stood there already."""
        touched = [] if operated_to is None else [self._purpose.id]
        toggles = self._toggles if operated_to is None else {**self._toggles, self._purpose.id: operated_to}
        self._happens(
            "accepted",
            at,
            terms=self._terms.version,
            toggles=toggles,
            touched=touched,
            plan=self._plan_at(at),
            surface=POP_UP,
        )

    def _set(
        self,
        to: Toggle,
        at: datetime,
        recorded: datetime | None = None,
        surface: str = SETTINGS,
        cause: str = "person",
    ) -> None:
        self._happens(
            "toggle-changed",
            at,
            recorded,
            purpose=self._purpose.id,
            to=to,
            surface=surface,
            cause=cause,
            plan=self._plan_at(recorded or at),
        )

    def _happens(self, event: str, at: datetime, recorded: datetime | None = None, **data: Any) -> None:
        line: dict[str, Any] = {"event": event, "subject": self._name, "occurred_at": format_time(at), "data": data}
        if recorded is not None:
            line["recorded_at"] = format_time(recorded)
        self._lines.append((recorded or at, canonical(line)))

    def _plan_at(self, moment: datetime) -> str:
        return self._next_plan if moment >= self._plan_changes else self._plan

    def _one_of(self, choices: Sequence[_T]) -> _T:
        return choices[int(self._random() * len(choices))]

    def _between(self, shortest: timedelta, longest: timedelta) -> timedelta:
        return _seconds(shortest + (longest - shortest) * self._random())


def _seconds(span: timedelta) -> timedelta:
    return timedelta(seconds=int(span.total_seconds()))


def subjects_of_items(named: str) -> list[str]:
    """Who the items of a file are of, each once, in the order of the names."""
    import duckdb

    from ledger.gate.inputs import find_items
    from ledger.gate.reading import load

    with duckdb.connect(config={"autoinstall_known_extensions": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        load(connection, find_items((named,)))
        rows = connection.execute("SELECT DISTINCT subject FROM given WHERE subject IS NOT NULL ORDER BY ALL")
        return [subject for (subject,) in rows.fetchall()]
