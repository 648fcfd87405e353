"""`consent audit`: the full replay of a log, by somebody who need not trust its operator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from os.path import isdir, isfile  # which take any name, also one too long for the system
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cli.session import Session
from cli.trust import trust_of
from ledger.errors import InvalidInput, Refused, Unavailable

if TYPE_CHECKING:
    from ledger.audit.audit import Report
    from ledger.audit.findings import Finding
    from ledger.audit.source import Source

RIGHT, WRONG = 0, 1
_PATH: click.Path = click.Path(path_type=Path)


@click.command()
@click.argument("source", metavar="[SOURCE]", required=False, type=_PATH)
@click.option("--state", type=_PATH, metavar="FILE", help="What was seen so far; kept, and gone on from. Yours alone.")
@click.option("--checkpoint", type=_PATH, metavar="FILE", help="A checkpoint of the log, beside an export.")
@click.option("--key", "keys", multiple=True, metavar="VKEY", help="The log's verifier key; may be repeated.")
@click.option("--policy", type=_PATH, metavar="FILE", help="A trust file, in place of --key.")
@click.option("--cosign", type=_PATH, metavar="KEYFILE", help="Cosign the newest checkpoint when the log is right.")
@click.option("-o", "output", type=_PATH, metavar="FILE", help="With --cosign: where the cosigned checkpoint goes.")
@click.pass_obj
def command(
    session: Session,
    source: Path | None,
    state: Path | None,
    checkpoint: Path | None,
    keys: tuple[str, ...],
    policy: Path | None,
    cosign: Path | None,
    output: Path | None,
) -> int:
    """Replay the whole log and compare all that was said of it: bytes, versions, times, tree, maps, checkpoints, uses.

    SOURCE is a folder of tiles with entries, or a whole export with --format jsonl; without it the ledger itself is
    read, and its projections too. 1 where anything differs or a use was not allowed. A log is right also with uses in
    it that were not allowed: it says so itself, and is cosigned.
    """
    from ledger.audit.audit import audit
    from ledger.audit.cosigning import cosign_newest, demand_auditor
    from ledger.audit.state import open_state
    from ledger.keyring import read_key

    if cosign is not None and (state is None or output is None or not (keys or policy)):
        raise InvalidInput(
            "expected --state, -o and --key or --policy with --cosign: what was cosigned before, where the note goes, "
            "and whose checkpoints are meant; name them"
        )
    if output is not None and cosign is None:
        raise InvalidInput("expected --cosign with -o; the report goes to standard output")
    trust = trust_of(policy, keys)
    key = None if cosign is None else read_key(cosign)
    if key is not None:
        demand_auditor(key)
    with (
        _source(session, source, checkpoint) as opened,
        open_state(state) as seen,
        session.progress("reading the log") as progress,
    ):
        report = audit(opened, seen, trust, progress)
        note, refusal = None, None
        if key is not None:
            try:
                note = cosign_newest(report, seen, key, datetime.now(UTC))
            except Refused as error:
                refusal = str(error)
    if note is not None and output is not None:
        from ledger.files import whole_file

        with whole_file(output) as file:
            file.write(note)
    _show(session, report, note is not None, refusal, is_signed=trust is not None)
    return RIGHT if report.is_clean and refusal is None else WRONG


@contextmanager
def _source(session: Session, path: Path | None, checkpoint: Path | None) -> Iterator[Source]:
    if checkpoint is not None and (path is None or isdir(path)):
        raise InvalidInput("expected --checkpoint beside an export; a ledger and a folder of tiles have their own")
    if path is None:
        from ledger.audit.ledger_source import ledger_source

        with ledger_source(session.place) as ledger:
            yield ledger
    elif isdir(path):
        from ledger.audit.tiles_source import TilesSource

        if not isfile(path / "checkpoint"):
            raise Unavailable(
                f"expected a folder of tiles with its checkpoint at {path}, found none; "
                "write one with `consent tiles --entries`, or name a ledger with --ledger"
            )
        yield TilesSource(path)
    else:
        from ledger.audit.export_source import ExportSource

        yield ExportSource(path, checkpoint)


def _show(session: Session, report: Report, cosigned: bool, refusal: str | None, *, is_signed: bool) -> None:
    checkpoint = report.newest[0] if report.newest else None
    session.result(
        {
            "source": report.source,
            "entries": report.entries,
            "seen_before": report.seen,
            "root": report.root,
            "checkpoint": None if checkpoint is None else checkpoint.size,
            "signatures_checked": is_signed,
            "checkpoints": report.checkpoints,
            "streams": report.streams,
            "maps": report.maps,
            "runs": report.runs,
            "uses": report.uses,
            "right": report.is_right,
            "violations": report.has_violations,
            "counts": report.counts,
            "findings": [_fields(one) for one in report.wrong],
            "remarks": [_fields(one) for one in report.remarks],
            "cosigned": cosigned,
            "not_cosigned": refusal,
        },
        _sentence(report, cosigned),
    )
    for title, found in (("what is wrong", report.wrong), ("worth knowing", report.remarks)):
        if found and not session.as_json:
            rows = [[one.kind, one.position, one.stream, one.version, one.sentence] for one in found]
            session.table(["kind", "position", "stream", "version", "what was found"], rows, title=title)
    listed = len(report.wrong) + len(report.remarks)
    if (all_found := sum(report.counts.values())) > listed:
        session.remark(f"the first {listed} of {all_found} findings are listed")
    if not is_signed and report.checkpoints:
        session.remark("the signatures of the checkpoints were not checked: name the log's key with --key")
    if refusal is not None:
        session.remark(f"not cosigned: {refusal}")


def _sentence(report: Report, cosigned: bool) -> str:
    seen = f", {report.seen} of them seen before," if report.seen else ""
    log = "the log is right" if report.is_right else "the log is NOT right"
    uses = "not every use was allowed" if report.has_violations else f"{report.uses} uses, all allowed"
    signed = "; cosigned" if cosigned else ""
    return (
        f"{report.source}: {report.entries} entries{seen} of {report.streams} streams, {report.maps} maps, "
        f"{report.checkpoints} checkpoints, root {report.root.hex()}: {log}; {uses}{signed}"
    )


def _fields(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind,
        "position": finding.position,
        "stream": finding.stream,
        "version": finding.version,
        "sentence": finding.sentence,
        **finding.details,
    }
