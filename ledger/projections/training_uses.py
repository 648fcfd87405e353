"""`training-uses`: what of whom went into which run, under which grant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from ledger.domain.consent import Record
from ledger.domain.events import DataUsedForTraining
from ledger.domain.times import parse_time
from ledger.projections.projection import Positions, Projection, Row

if TYPE_CHECKING:
    from ledger.store.database import Connection


class TrainingUse(Row, frozen=True, kw_only=True):
    """One use. It happened, so it is never gone, not even when the person is erased."""

    version: int
    run: str
    purpose: str
    #: The grant, by its version in the stream; none where the use was reported from outside and there is none.
    basis: int | None
    #: Kind → count, and their sum.
    items: dict[str, int]
    item_count: int
    collected_from: datetime
    collected_until: datetime
    manifest: str
    attested: bool


class UsesDay(Struct, frozen=True):
    """What was recorded as used on a day (UTC): by how many runs, in how many uses, how many items."""

    day: date
    runs: int
    uses: int
    items: int


def training_uses(record: Record, positions: Positions) -> Iterator[TrainingUse]:
    """One row for each use in the record."""
    for entry in record.uses:
        use: DataUsedForTraining = entry.data
        yield TrainingUse(
            stream=record.stream,
            position=positions[entry.version],
            version=entry.version,
            run=use.run,
            purpose=use.purpose,
            basis=None if use.basis is UNSET else use.basis,
            items=use.items,
            item_count=sum(use.items.values()),
            collected_from=parse_time(use.collected_from),
            collected_until=parse_time(use.collected_until),
            manifest=use.manifest,
            attested=use.attested,
        )


TRAINING_USES = Projection(
    name="training-uses",
    row=TrainingUse,
    key=("stream", "version"),
    events=(DataUsedForTraining,),
    rows=training_uses,
    remembers=False,
)


def uses_per_day(connection: Connection, since: date, until: date) -> list[UsesDay]:
    """The days from `since` to before `until` that have any use, as far as the projection is."""
    from ledger.projections.tables import composed, unusable_as_error  # else every import of a row loads the database

    with unusable_as_error(TRAINING_USES, "the ledger"):
        found = connection.execute(
            composed("uses_per_day", TRAINING_USES, TRAINING_USES.tables), {"since": since, "until": until}
        ).fetchall()
    return [UsesDay(*row) for row in found]
