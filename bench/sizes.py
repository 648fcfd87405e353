"""How much is measured: what the goals name, or so little that it only shows that the bench works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """Of every section. Where there are three, growth is shown over them, and the goal is the last one's."""

    rounds: int
    #: That callers of one side append in one round.
    seconds: float
    events: tuple[int, ...]
    items: tuple[int, ...]
    #: One subject of an item file has so many items.
    items_a_subject: int
    audit_subjects: tuple[int, ...]
    replica_subjects: tuple[int, ...]
    map_streams: tuple[int, ...]
    checkpoint_entries: int
    shows_little: bool = False


SIZES = {
    # The sizes of the goals, in half an hour.
    "full": Sizes(
        rounds=3,
        seconds=4,
        events=(10_000, 100_000, 1_000_000),
        items=(100_000, 1_000_000, 10_000_000),
        items_a_subject=100,
        audit_subjects=(1_000, 10_000, 100_000),
        replica_subjects=(1_000, 10_000, 100_000),
        map_streams=(10_000, 100_000, 1_000_000),
        checkpoint_entries=10_000,
    ),
    # Whether it runs; the ratios say nothing.
    "small": Sizes(
        rounds=1,
        seconds=0.5,
        events=(500,),
        items=(2_000,),
        items_a_subject=20,
        audit_subjects=(200,),
        replica_subjects=(200,),
        map_streams=(300,),
        checkpoint_entries=50,
        shows_little=True,
    ),
}
