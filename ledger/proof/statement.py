"""What verifying a file comes to: plain sentences, the same as fields for programs, and what it proves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from ledger.domain.as_of import Placed
from ledger.domain.times import FIRST_MOMENT, format_time
from ledger.proof.policy import Opened, is_auditor
from ledger.proof.promise import Promise


@dataclass(frozen=True, slots=True)
class Proven:
    """What a file shows of a log under one signed checkpoint: to hold several files against each other."""

    opened: Opened
    #: Position → the stream and the leaf hash of the entry there.
    leaves: Mapping[int, tuple[str, bytes]] = field(default_factory=dict)
    #: The stream that is shown complete up to the position `covers`, if one is.
    stream: str | None = None
    covers: int = 0
    #: The time of the map's entry that the checkpoint ends in, where it is shown.
    map_time: datetime | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What holds. `violations` are uses outside what was allowed, which the proofs show like everything else."""

    kind: str
    sentences: tuple[str, ...]
    fields: Mapping[str, Any]
    proven: tuple[Proven, ...] = ()
    violations: tuple[str, ...] = ()
    #: The entries that it is about, for whoever puts them into words.
    history: tuple[Placed, ...] = ()
    #: Of a receipt, which says nothing of itself: whether it was kept is asked of the other files.
    promise: Promise | None = None


def for_whom(stream: str, subject: str | None) -> str:
    """How a statement about one stream begins: every claim is about that stream, and whose it is the asker knows."""
    if subject is None:
        return f"for stream {stream}, which you must compare with your receipt"
    return f"for {subject}" if subject == f"key:{stream}" else f"for {subject}, stream {stream}"


def signed_by(opened: Opened) -> str:
    """Who vouches for a checkpoint, with the times of the cosignatures, or what nobody vouches for."""
    checkpoint = opened.checkpoint
    keys = ", ".join(key.id.hex() for key in opened.log_keys)
    parts = [f"the checkpoint of size {checkpoint.size} is signed by {checkpoint.origin} (key {keys})"]
    parts += [
        f"{'the auditor' if is_auditor(key) else 'the witness'} {key.name} cosigned it at {_time_of(seconds)}"
        for key, seconds in opened.cosigned.items()
    ]
    return "; ".join(parts if opened.caveat is None else [*parts, opened.caveat])


def checkpoint_fields(opened: Opened) -> dict[str, Any]:
    checkpoint = opened.checkpoint
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root,
        "keys": [key.text for key in opened.log_keys],
        "cosigned": [
            {"name": key.name, "auditor": is_auditor(key), "at": _time_of(seconds)}
            for key, seconds in opened.cosigned.items()
        ],
        "vouched": opened.vouched,
        "caveat": opened.caveat,
    }


def plural(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _time_of(seconds: int) -> str:
    """A cosignature's time, which may lie beyond the calendar."""
    try:
        return format_time(FIRST_MOMENT + timedelta(seconds=seconds))
    except OverflowError:
        return f"{seconds} s after 1970"
