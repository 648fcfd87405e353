"""`consent sequence --follow`: checkpoints on their own, every few seconds."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import click

from cli.checkpoint import checkpoint_fields
from cli.session import Session
from cli.stopping import until_stopped
from ledger.errors import InvalidInput

if TYPE_CHECKING:
    from ledger.errors import Unavailable
    from ledger.store.proofs import StoredCheckpoint

#: With more, what promises say of a followed log (60 s, FORMATS.md section 7) could not be kept.
LONGEST_PAUSE = 30.0


@click.command()
@click.option("--follow", is_flag=True, required=True, help="Go on until interrupted.")
@click.option(
    "--every",
    type=click.FloatRange(0.1, LONGEST_PAUSE),
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="The pause after each turn.",
)
@click.pass_obj
def command(session: Session, follow: bool, every: float) -> None:
    """Sign a checkpoint whenever there is anything new, every few seconds until interrupted; a line each.

    While it keeps up, promises say that an entry is covered within 60 s, and without it within 24 h.
    """
    from ledger.sequencer.follow import follow as follow_log

    if math.isnan(every):
        raise InvalidInput("expected a pause of so many seconds, found one that is no number")
    with until_stopped(follow) as stop, session.ledger() as ledger:

        def told(checkpoint: StoredCheckpoint) -> None:
            fields = checkpoint_fields(ledger.identity.origin, checkpoint)
            session.result(fields, f"size {fields['size']}, covers {fields['covers']}, root {fields['root']}")

        def trouble(error: Unavailable) -> None:
            session.remark(f"consent: {error}; trying again")

        follow_log(ledger, every, stop, told, trouble)
