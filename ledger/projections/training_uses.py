"""`training-uses`: what of whom went into which run, under which grant."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import UNSET

from ledger.domain.consent import Record
from ledger.domain.events import DataUsedForTraining
from ledger.domain.times import parse_time
from ledger.projections.projection import Positions, Projection, Row


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
