"""Logs for the tests of the audit, honest ones and others, and the three places that an audit reads them from."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, Protocol

from msgspec import UNSET

from ledger.audit.audit import BATCH, Report, audit
from ledger.audit.export_source import ExportSource
from ledger.audit.ledger_source import ledger_source
from ledger.audit.source import Source
from ledger.audit.state import open_state
from ledger.audit.tiles_source import TilesSource
from ledger.domain.entry import decode_entry
from ledger.domain.events import RunFinished
from ledger.domain.names import run_stream
from ledger.domain.times import format_time
from ledger.errors import InvalidEntry
from ledger.proof.checkpoint import parse_checkpoint
from ledger.proof.merkle import leaf_hash
from ledger.proof.note import parse_note
from ledger.proof.tiles import TILE_WIDTH, encode_entries, entries_path, grow, tile_path, tiles_of
from ledger.settings import Place
from tests.builders import admin
from tests.domain import given
from tests.proof.small_log import SUBJECT, SmallLog, used

#: Of any streams: what stands in a row's columns is not what an audit believes.
NOBODY = "f" * 64


class Nobody:
    """Watches nothing."""

    def now(self, what: str, total: int | None = None) -> None: ...

    def advance(self, by: int = 1) -> None: ...


class AuditedLog(SmallLog):
    """A log that may hold anything, with the checkpoints that were published of it."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.notes: list[bytes] = []

    def raw(self, stored: bytes) -> int:
        """The position of one more entry, which need not be one; no map of this log may cover it."""
        self.entries.append(stored)
        self.tree.append(leaf_hash(stored))
        return len(self.entries)

    def sign(self, **more: Any) -> None:
        """A checkpoint over all of it."""
        self.notes.append(self.checkpoint(**more))

    def publish(self, at: Any = "20", **more: Any) -> int:
        """A map, and a checkpoint that ends in it."""
        position = super().publish(at, **more)
        self.sign()
        return position

    def terms(self, *published: Any) -> AuditedLog:
        super().terms(*published)
        return self

    def granted(self) -> AuditedLog:
        """Terms; somebody who was shown them and accepted; a run that used two items of theirs. Positions 1 to 5."""
        self.terms()
        self.append(SUBJECT, given.shown(), "2")
        self.append(SUBJECT, given.accepted(touched=(given.TRAINING,)), "3")
        self.run("6")
        self.append(SUBJECT, use(), "6 11:00")
        return self

    def finish(self, uses: int, items: int, root: str, recorded: str = "7") -> int:
        return self.append(run_stream("r1"), RunFinished(uses=uses, items=items, root=root), recorded)


def use(collected: str = "4", *, until: str | None = None, basis: int | None = 2, **more: Any) -> Any:
    """A use of two items of the subject's."""
    leaves = [(f"chat-{day}", format_time(given.at(day)), "chat") for day in (collected, until or collected)]
    return used(leaves, basis=basis, **more)


def a_log() -> AuditedLog:
    """An honest log: somebody whose items a run used, and who withdrew then; two maps and their checkpoints."""
    log = AuditedLog().granted()
    log.append(SUBJECT, given.toggled("off"), "7")
    log.publish("8")
    log.append(SUBJECT, given.toggled("on"), "9")
    log.publish("10")
    return log


class Kept(Protocol):
    """Where a log is put, and read from."""

    def put(self, log: AuditedLog) -> None:
        """This is the log now, whatever was there."""
        ...

    def open(self) -> AbstractContextManager[Source]: ...


class KeptExport:
    def __init__(self, folder: Path) -> None:
        self.file = folder / "log.jsonl"
        self.checkpoint = folder / "checkpoint"

    def put(self, log: AuditedLog) -> None:
        self.file.write_bytes(b"".join(entry + b"\n" for entry in log.entries))
        self.checkpoint.write_bytes(log.notes[-1])

    def open(self) -> AbstractContextManager[Source]:
        return nullcontext(ExportSource(self.file, self.checkpoint))


class KeptTiles:
    def __init__(self, folder: Path) -> None:
        self.folder = folder / "tiles"

    def put(self, log: AuditedLog) -> None:
        for level, number, width in tiles_of(len(log.entries)):
            if level == 0:
                first = number * TILE_WIDTH
                self.write(entries_path(number, width), encode_entries(log.entries[first : first + width]))
        leaves = [leaf_hash(entry) for entry in log.entries]
        for (level, number), hashes in grow(0, leaves, lambda *_: b"").items():
            self.write(tile_path(level, number, len(hashes) // 32), hashes)
        self.write("checkpoint", log.notes[-1])

    def write(self, path: str, data: bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def open(self) -> AbstractContextManager[Source]:
        return nullcontext(TilesSource(self.folder))


class KeptLedger:
    def __init__(self, place: Place) -> None:
        self.place = place

    def put(self, log: AuditedLog) -> None:
        with admin(self.place) as connection:
            for table in ("ledger.cosignature", "ledger.checkpoint", "ledger.idempotency_key", "ledger.log_entry"):
                connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
                connection.execute(f"DELETE FROM {table}")
            for position, stored in enumerate(log.entries, 1):
                self.insert(connection, position, stored)
            for note in log.notes:
                checkpoint = parse_checkpoint(parse_note(note).text)
                connection.execute(
                    "INSERT INTO ledger.checkpoint (size, root, covers, note) VALUES (%s, %s, 0, %s)",
                    [checkpoint.size, checkpoint.root, note.decode()],
                )

    def insert(self, connection: Any, position: int, stored: bytes) -> None:
        """A row; where its bytes are no entry, its columns say something else."""
        try:
            entry = decode_entry(stored)
            columns: list[Any] = [entry.stream, entry.event, entry.recorded, entry.imported is not UNSET]
        except InvalidEntry:
            columns = [NOBODY, "terms-shown", given.at("1"), False]
        connection.execute(
            "INSERT INTO ledger.log_entry (position, stream, version, event, recorded_at, imported, entry)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s)",
            [position, columns[0], position, *columns[1:], stored],
        )

    def open(self) -> AbstractContextManager[Source]:
        return ledger_source(self.place)


def audited(kept: Kept, state: Path | None = None, log: AuditedLog | None = None, batch: int = BATCH) -> Report:
    """One audit; with `log` the signatures of its checkpoints are looked at too."""
    with kept.open() as source, open_state(state) as opened:
        return audit(source, opened, None if log is None else log.bare, Nobody(), batch)


def found(report: Report) -> list[tuple[str, int | None]]:
    """What is wrong and what is worth knowing: the kinds with their positions."""
    return [(one.kind, one.position) for one in (*report.wrong, *report.remarks)]


Build = Callable[[], AuditedLog]
