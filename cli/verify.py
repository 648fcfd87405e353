"""`consent verify`: whether files of proofs hold. It needs no ledger, no network and nothing that a ledger needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from os.path import isfile  # which takes any name, also one too long for the system
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.session import Session
from cli.trust import trust_of
from cli.types import AGE
from ledger.errors import InvalidInput, NotVerified

if TYPE_CHECKING:
    from ledger.proof.asked import Asked
    from ledger.proof.statement import Statement
    from ledger.proof.together import Verified

HOLDS, WRONG = 0, 1
#: U+0000 to U+001F are refused in all that is verified.
_CONTROLS = {code: f"\\x{code:02x}" for code in range(0x7F, 0xA0)}
_FILE = click.Path(path_type=Path, dir_okay=False)
#: Of a run on Spark a folder.
_ITEMS = click.Path(path_type=Path)


@click.command()
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option(
    "--subject", metavar="SUBJECT", help="Whom it must be about: id:…, key:… or the file of a receipt. Pins the stream."
)
@click.option(
    "--items",
    type=_ITEMS,
    metavar="FILE",
    help="A permitted.parquet of the gate: the manifests of its uses are made again.",
)
@click.option("--max-age", type=AGE, help="How long ago a history may be complete as of: 90s, 30m, 12h or 7d.")
@click.option("--policy", type=_FILE, help="Whom to trust: a tlog-policy file with logs, witnesses and a quorum.")
@click.option("--key", "keys", multiple=True, metavar="VKEY", help="The log's key, or its receipts'; may be repeated.")
@click.pass_obj
def command(
    session: Session,
    files: tuple[Path, ...],
    subject: str | None,
    items: Path | None,
    max_age: timedelta | None,
    policy: Path | None,
    keys: tuple[str, ...],
) -> int:
    """Verify FILES offline: bundles, proofs of entries, items and growth, checkpoints, receipts, rotations.

    Says in plain words what holds and as of when, or the first thing that does not. Of several files the checkpoints
    are held against each other, and receipts are kept, open or broken.
    """
    from ledger.proof.together import verify_files
    from ledger.proof.two_histories import TwoHistories

    trust = trust_of(policy, keys)
    if trust is None:
        raise InvalidInput("expected --policy or --key, whose signatures to trust; found neither")
    asked = _asked(subject, items, max_age)
    try:
        verified = verify_files(((str(file), _read(file)) for file in files), trust, asked)
    except NotVerified as error:
        evidence = error.notes if isinstance(error, TwoHistories) else ()
        if session.as_json:
            session.lines([{"holds": False, "why": str(error), "evidence": evidence}])
        for note in () if session.as_json else evidence:
            click.echo(_shown(note))
        raise
    good = all(one.is_good for one in verified)
    session.result(
        {"holds": True, "good": good, "files": [_fields(one) for one in verified]},
        _shown("\n\n".join("\n".join(_lines(one)) for one in verified)),
    )
    return HOLDS if good else WRONG


def _asked(subject: str | None, items: Path | None, max_age: timedelta | None) -> Asked:
    from datetime import UTC
    from functools import partial

    from ledger.proof.asked import Asked

    items_of = None
    if items is not None:
        from ledger.gate.released import released_leaves

        items_of = partial(released_leaves, items)
    now = datetime.now(UTC)
    return Asked(None if subject is None else _subject(subject), max_age, now, items_of)


def _subject(named: str) -> str:
    """An id or a key, as it stands or as a receipt has it."""
    from ledger.proof.asked import stream_of
    from ledger.proof.entry_verifying import stream_of_receipt

    file = Path(named)
    if named.startswith(("id:", "key:")) or not isfile(file):
        stream_of(named)
        return named
    return f"key:{stream_of_receipt(_read(file))}"


def _read(file: Path) -> bytes:
    from ledger.files import read_at_most
    from ledger.proof.strict import LARGEST_FILE

    data = read_at_most(file, LARGEST_FILE)
    if len(data) > LARGEST_FILE:
        raise NotVerified(f"{file}: expected at most {LARGEST_FILE} bytes, found more; it is no file of proofs")
    return data


def _lines(one: Verified) -> Iterator[str]:
    """For people: the file, what holds, and the entries that it is about."""
    yield f"{one.name}: {_heading(one)}"
    yield from (f"  {sentence}" for sentence in one.statement.sentences)
    if one.kept is not None:
        yield f"  {one.kept.sentence}"
        if one.kept.state == "broken" and one.kept.checkpoint is not None:
            yield f"  the signed checkpoint that proves it:\n\n{one.kept.checkpoint}"
    if one.statement.history:
        from cli.words import entry_line

        yield from (f"    {entry_line(placed)}" for placed in one.statement.history)


def _shown(text: str) -> str:
    """As it may go to a terminal: files come from strangers, and the formats allow what a terminal would obey."""
    return text.translate(_CONTROLS)


def _heading(one: Verified) -> str:
    statement: Statement = one.statement
    if count := len(statement.violations):
        uses = "a use lies" if count == 1 else f"{count} uses lie"
        return f"the proofs hold, and {uses} outside what was allowed"
    if one.kept is not None:
        return f"the receipt is good, and its promise is {one.kept.state}"
    return "verified"


def _fields(one: Verified) -> Mapping[str, Any]:
    import msgspec

    from cli.words import in_words
    from ledger.domain.answers import entry_told

    statement = one.statement
    fields = {
        "file": one.name,
        "kind": statement.kind,
        "sentences": statement.sentences,
        "violations": statement.violations,
        **statement.fields,
        "history": [
            msgspec.to_builtins(entry_told(placed)) | {"what": in_words(placed.entry)} for placed in statement.history
        ],
    }
    if one.kept is not None:
        fields |= {"promise": one.kept.state, "why": one.kept.sentence, "evidence": one.kept.checkpoint}
    return fields
