"""Whether the promise of a receipt was kept, as far as other files show (FORMATS.md section 7)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from ledger.domain.times import format_time, parse_time
from ledger.proof.note import format_note
from ledger.proof.policy import Opened
from ledger.proof.promise import Promise
from ledger.proof.statement import Proven

State = Literal["kept", "open", "broken"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of a promise, why, and the signed checkpoint that proves it; none where it is open."""

    state: State
    sentence: str
    checkpoint: str | None = None


def judge_promise(promise: Promise, shown: Iterable[Proven]) -> Kept:
    """Broken where any file shows it, else kept where one does, else open."""
    found = [
        judged
        for proven in shown
        if proven.opened.checkpoint.origin == promise.origin and (judged := _judge(promise, proven)) is not None
    ]
    still_open = Kept(
        "open",
        f"open: no file given here shows position {promise.position}, which a checkpoint covers by "
        f"{promise.covered_by}; verify it together with a bundle or the entry's proof from after that",
    )
    return min(found, key=lambda judged: judged.state, default=still_open)  # "broken" comes before "kept"


def _judge(promise: Promise, proven: Proven) -> Kept | None:
    size, position = proven.opened.checkpoint.size, promise.position
    under = f"under the signed checkpoint of size {size}"
    _, leaf = proven.leaves.get(position, (None, None))
    if leaf == promise.leaf:
        return _decided("kept", f"position {position} holds this entry {under}", proven.opened)
    if leaf is not None:
        return _decided("broken", f"position {position} holds another entry {under}", proven.opened)
    if proven.stream == promise.stream and proven.covers >= position:
        return _decided(
            "broken",
            f"the complete history of the stream up to position {proven.covers}, {under}, lacks this entry",
            proven.opened,
        )
    if proven.map_time is not None and proven.map_time > parse_time(promise.covered_by) and size < position:
        return _decided(
            "broken",
            f"the log ended at size {size}, below position {position}, at {format_time(proven.map_time)}, "
            f"after {promise.covered_by}",
            proven.opened,
        )
    return None


def _decided(state: State, why: str, opened: Opened) -> Kept:
    return Kept(state, f"{state}: {why}", format_note(opened.note).decode())
