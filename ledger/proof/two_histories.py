"""Signed checkpoints of one log that cannot all be true: evidence against whoever signed them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ledger.errors import NotVerified
from ledger.proof.note import format_note
from ledger.proof.policy import Opened
from ledger.proof.statement import Proven


class TwoHistories(NotVerified):
    """The log showed two histories; `notes` are the two signed checkpoints that prove it."""

    def __init__(self, sentence: str, one: Opened, other: Opened) -> None:
        super().__init__(f"expected one history of the log {one.checkpoint.origin}, found two: {sentence}")
        self.notes = (format_note(one.note).decode(), format_note(other.note).decode())


def demand_one_history(shown: Iterable[Proven]) -> None:
    """`TwoHistories` where a log had two roots at one size, two entries at one position, or hid one from a map;
    `NotVerified` where a map stayed behind a checkpoint that came before it."""
    everything = list(shown)
    _demand_one_root_and_one_entry(everything)
    _demand_none_hidden(everything)
    _demand_maps_that_go_on(everything)


def _demand_one_root_and_one_entry(shown: Iterable[Proven]) -> None:
    roots: dict[tuple[str, int], Opened] = {}
    entries: dict[tuple[str, int], tuple[bytes, Opened]] = {}
    for proven in shown:
        new = proven.opened
        origin, size = new.checkpoint.origin, new.checkpoint.size
        before = roots.setdefault((origin, size), new)
        if before.checkpoint.root != new.checkpoint.root:
            raise TwoHistories(f"both checkpoints are of size {size}, and their roots differ", before, new)
        for position, (_, leaf) in proven.leaves.items():
            known, under = entries.setdefault((origin, position), (leaf, new))
            if known != leaf:
                raise TwoHistories(f"position {position} holds another entry under each", under, new)


def _demand_none_hidden(shown: Sequence[Proven]) -> None:
    """Whoever keeps the proof of an entry of their own sees it when a later map leaves the entry out."""
    for whole in shown:
        for other in shown:
            if whole.stream is None or whole.opened.checkpoint.origin != other.opened.checkpoint.origin:
                continue
            for position, (stream, _) in other.leaves.items():
                if stream == whole.stream and position <= whole.covers and position not in whole.leaves:
                    raise TwoHistories(
                        f"the map under one leaves out position {position} of stream {stream}, which the other proves",
                        whole.opened,
                        other.opened,
                    )


def _demand_maps_that_go_on(shown: Sequence[Proven]) -> None:
    """A map covers at least what the checkpoint before it has (FORMATS.md section 5), and so any earlier one's."""
    for whole in shown:
        for other in shown:
            new, earlier = whole.opened.checkpoint, other.opened.checkpoint
            if whole.stream is None or new.origin != earlier.origin or earlier.size >= new.size:
                continue
            if whole.covers < earlier.size:
                raise NotVerified(
                    f"expected the map under the checkpoint of size {new.size} to cover the {earlier.size} entries of "
                    f"an earlier checkpoint, found that it covers {whole.covers}: what came since may be hidden"
                )
