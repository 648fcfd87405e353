"""`consent prove`: files that hold without the ledger; `consent verify` says so."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.session import Session
from cli.types import NAME
from ledger.domain.names import LARGEST_INTEGER
from ledger.errors import InvalidInput, Unavailable, UnknownSubject

if TYPE_CHECKING:
    from ledger.application import ConsentLedger


#: A longer one is beyond all sizes.
_SIZE = re.compile(r"\A[0-9]{1,18}\Z")


@click.command()
@click.argument("subject", required=False)
@click.option(
    "--entry",
    "position",
    type=click.IntRange(1, LARGEST_INTEGER),
    metavar="POSITION",
    help="That this entry is in the log.",
)
@click.option(
    "--consistency", "old", metavar="OLD", help="That the log only grew since OLD, a size or a checkpoint file."
)
@click.option("--item", metavar="ITEM", help="That this item was in a run's use of a person's data, or was not.")
@click.option("--run", type=NAME, metavar="RUN", help="With --item: the run.")
@click.option("--subject", "person", metavar="SUBJECT", help="With --item: the person.")
@click.option(
    "--items", type=click.Path(path_type=Path), metavar="FILE", help="With --item: the permitted.parquet of the run."
)
@click.option("-o", "output", type=click.Path(path_type=Path), metavar="FILE", help="Default: standard output.")
@click.pass_obj
def command(
    session: Session,
    subject: str | None,
    position: int | None,
    old: str | None,
    item: str | None,
    run: str | None,
    person: str | None,
    items: Path | None,
    output: Path | None,
) -> None:
    """Write a proof that verifies without this ledger, as of its last checkpoint.

    With SUBJECT their bundle: all entries about them with proofs that nothing was left out or changed; of an id that
    was never seen (id:, key:), the proof that there are none. With --entry one entry's proof, or, where no checkpoint
    covers it yet, the signed promise of one.
    """
    ask = _asked(subject, position, old, item, run, person, items)
    with session.ledger() as ledger:
        data, fields, sentence = ask(ledger)
    _write(session, output, data, fields, sentence)


#: A file's bytes, and what is said of it: to programs, to people.
Proof = tuple[bytes, dict[str, Any], str]


def _asked(
    subject: str | None,
    position: int | None,
    old: str | None,
    item: str | None,
    run: str | None,
    person: str | None,
    items: Path | None,
) -> Callable[[ConsentLedger], Proof]:
    """The one proof that the arguments ask for."""
    kinds = [given for given in (subject, position, old, item) if given is not None]
    if len(kinds) != 1:
        raise InvalidInput(
            f"expected one of SUBJECT, --entry, --consistency and --item, found {len(kinds)} of them; ask for one proof"
        )
    if item is not None and run is not None and person is not None and items is not None:
        return partial(_item, item=item, run=run, person=person, items=items)
    if any(given is not None for given in (item, run, person, items)):
        raise InvalidInput("expected --item, --run, --subject and --items together, found some of them; give all four")
    if subject is not None:
        return partial(_history, named=subject)
    return partial(_entry, position=position) if position is not None else partial(_growth, old=old or "")


def _history(ledger: ConsentLedger, named: str) -> Proof:
    from ledger.proving.history import prove_history

    stream = _stream_of(ledger, named)
    history = prove_history(ledger, stream)
    fields = {
        "kind": "bundle",
        "stream": stream,
        "entries": history.entries,
        "covers": history.covers,
        "size": history.size,
        "newer": history.newer,
    }
    what = {0: "proof that there is no entry", 1: "the one entry"}.get(
        history.entries, f"all {history.entries} entries"
    )
    newer = f"; recorded since: {history.newer}, run `consent checkpoint` to have them in" if history.newer else ""
    return history.data, fields, f"{what} about key:{stream} up to position {history.covers}{newer}"


def _stream_of(ledger: ConsentLedger, named: str) -> str:
    try:
        return ledger.subject(named).stream or ""
    except UnknownSubject:
        raise UnknownSubject(
            "expected a person in the ledger, found nobody of that name, who so has no id about which anything could "
            "be proven; check the spelling, or give the id: or key: that absence is to be proven of"
        ) from None


def _entry(ledger: ConsentLedger, position: int) -> Proof:
    from ledger.proving.entry import prove_entry

    proof = prove_entry(ledger, position)
    fields = {"kind": proof.kind, "position": position, "size": proof.size, "covered_by": proof.covered_by}
    if proof.kind == "proof":
        return (
            proof.data,
            fields,
            f"proof of the entry at position {position} under the checkpoint of size {proof.size}",
        )
    return (
        proof.data,
        fields,
        f"no checkpoint covers position {position} yet: a signed promise that one does by {proof.covered_by}",
    )


def _growth(ledger: ConsentLedger, old: str) -> Proof:
    from ledger.proving.growth import prove_growth

    growth = prove_growth(ledger, _size_or_note(old))
    fields = {"kind": "consistency", "old": growth.old, "new": growth.new}
    return growth.data, fields, f"proof that the log of size {growth.new} extends the one of size {growth.old}"


def _size_or_note(old: str) -> int | bytes:
    from ledger.proof.note import LARGEST_NOTE

    if _SIZE.match(old):
        return int(old)
    try:
        with Path(old).open("rb") as file:
            return file.read(LARGEST_NOTE + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Unavailable(f"expected a size or a checkpoint's file as OLD, found: {reason}") from None


def _item(ledger: ConsentLedger, item: str, run: str, person: str, items: Path) -> Proof:
    from ledger.gate.released import released_leaves
    from ledger.proving.item import prove_item

    stream = _stream_of(ledger, person)
    proof = prove_item(ledger, stream, run, item, released_leaves(items, stream))
    fields = {"kind": proof.kind, "stream": stream, "run": run, "item": item, "version": proof.version}
    what = f"in the use of version {proof.version}" if proof.kind == "item-used" else "in no use"
    return proof.data, fields, f"proof that {item} is {what} of key:{stream} by run {run}"


def _write(session: Session, output: Path | None, data: bytes, fields: dict[str, Any], sentence: str) -> None:
    from ledger.files import PRIVATE, whole_file

    if output is None:
        sys.stdout.buffer.write(data)
        session.remark(sentence)
        return
    # All but the growth of the log tell of a person.
    with whole_file(output, PRIVATE) as file:
        file.write(data)
    session.result({**fields, "file": str(output)}, f"{sentence}, in {output}")
