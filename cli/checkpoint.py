"""`consent checkpoint`: brings tree and map up to date, signs, and prints the note."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.session import Session
from cli.trust import trust_of_file

if TYPE_CHECKING:
    from ledger.application import ConsentLedger
    from ledger.proof.policy import Trust
    from ledger.store.proofs import StoredCheckpoint


@click.command()
@click.option(
    "--trust-database",
    is_flag=True,
    help="Sign though no copy of the last checkpoint is left outside the database to show whether the log was cut.",
)
@click.option(
    "--add",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Add the cosignatures of this note to its checkpoint, and sign nothing.",
)
@click.option(
    "--witnesses",
    "policy",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Ask the witnesses of this trust file, those with an address, to cosign it.",
)
@click.pass_obj
def command(session: Session, trust_database: bool, file: Path | None, policy: Path | None) -> int:
    """Bring tree and map up to date, sign, and print the note; where nothing is new, that of the last checkpoint.

    With --witnesses 1 where the quorum of the trust file is not there; each that gave nothing is named.
    """
    from ledger.errors import InvalidInput
    from ledger.files import read_at_most
    from ledger.proof.note import LARGEST_NOTE
    from ledger.sequencer.cosignatures import add_cosignatures
    from ledger.sequencer.steps import sequence

    if file is not None and policy is not None:
        raise InvalidInput("expected --add or --witnesses, found both; give one")
    trust = None if policy is None else trust_of_file(policy)
    with session.ledger() as ledger:
        if file is not None:
            checkpoint = add_cosignatures(ledger, read_at_most(file, LARGEST_NOTE))
        else:
            with session.progress("folding and hashing entries") as progress:
                checkpoint = sequence(ledger, trust_database=trust_database, watch=progress.advance)
        if trust is not None:
            checkpoint = _gather(session, ledger, trust)
        fields = checkpoint_fields(ledger.identity.origin, checkpoint)
    if session.as_json:
        session.lines([fields])
    else:
        click.echo(checkpoint.note, nl=False)
    return 0 if trust is None or _vouched(checkpoint, trust) else 1


def _gather(session: Session, ledger: ConsentLedger, trust: Trust) -> StoredCheckpoint:
    from ledger.witness.gathering import gather

    gathered = gather(ledger, trust)
    for name, sentence in gathered.missing.items():
        session.remark(f"{name}: {sentence}")
    return gathered.checkpoint


def _vouched(checkpoint: StoredCheckpoint, trust: Trust) -> bool:
    from ledger.errors import NotVerified
    from ledger.proof.policy import open_checkpoint

    try:
        open_checkpoint(checkpoint.note.encode(), trust)
    except NotVerified as error:
        click.echo(f"consent: {error}", err=True)
        return False
    return True


def checkpoint_fields(origin: str, checkpoint: StoredCheckpoint) -> dict[str, object]:
    """A checkpoint for programs; `root` as the note writes it."""
    from ledger.proof.strict import encode_base64

    return {
        "origin": origin,
        "size": checkpoint.size,
        "root": encode_base64(checkpoint.root),
        "covers": checkpoint.covers,
        "note": checkpoint.note,
    }
