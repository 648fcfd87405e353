"""What only one kind of source has, and what else can be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec import structs

from ledger.application import ConsentLedger
from ledger.audit.export_source import ExportSource
from ledger.domain.entry import encode_entry
from ledger.errors import NotVerified, Unavailable
from ledger.projections import PROJECTIONS
from ledger.projections.runner import Runner
from ledger.sequencer import sequence
from ledger.settings import Place
from tests.audit.logs import AuditedLog, KeptExport, KeptLedger, KeptTiles, a_log, audited, found
from tests.builders import admin, grant, toggled
from tests.domain import given
from tests.proof.small_log import SUBJECT

# Exports.


@pytest.fixture
def export(tmp_path: Path) -> KeptExport:
    return KeptExport(tmp_path)


def test_a_line_that_was_deleted_leaves_its_stream_a_gap(export: KeptExport) -> None:
    log = a_log()
    export.put(log)
    lines = export.file.read_bytes().splitlines(keepends=True)
    export.file.write_bytes(b"".join(lines[:2] + lines[3:]))
    # All that was said about it is wrong from here on; the first is where it was.
    report = audited(export)
    assert found(report)[0] == ("version-wrong", 4)
    assert not report.is_right
    assert {"map-covers", "checkpoint-beyond"} <= report.counts.keys()


def test_lines_that_were_swapped_are_named(export: KeptExport) -> None:
    export.put(a_log())
    lines = export.file.read_bytes().splitlines(keepends=True)
    lines[1], lines[2] = lines[2], lines[1]
    export.file.write_bytes(b"".join(lines))
    assert [place for place in found(audited(export)) if place[0] == "version-wrong"] == [
        ("version-wrong", 2),
        ("version-wrong", 3),
        ("version-wrong", 5),
    ]


def test_an_export_with_other_line_ends_is_no_export(export: KeptExport) -> None:
    export.put(a_log())
    export.file.write_bytes(export.file.read_bytes().replace(b"\n", b"\r\n"))
    assert found(audited(export))[:2] == [("entry-invalid", 1), ("entry-invalid", 2)]


def test_a_line_longer_than_any_entry_is_one_that_is_wrong(export: KeptExport) -> None:
    log = a_log()
    export.put(log)
    lines = export.file.read_bytes().splitlines(keepends=True)
    lines.insert(4, b'"' + b"x" * 1_000_000 + b'"\n')
    export.file.write_bytes(b"".join(lines))
    report = audited(export)
    assert found(report)[0] == ("entry-invalid", 5)
    assert report.entries == len(log.entries) + 1


def test_an_export_shorter_than_its_checkpoint_was_cut(export: KeptExport) -> None:
    log = a_log()
    export.put(log)
    export.file.write_bytes(b"".join(entry + b"\n" for entry in log.entries[:7]))
    assert found(audited(export)) == [("checkpoint-beyond", 9)]


def test_an_export_without_a_checkpoint_is_audited_by_itself(export: KeptExport) -> None:
    log = a_log()
    log.append(SUBJECT, given.toggled("off"), "11")
    export.put(log)
    export.checkpoint = None  # type: ignore[assignment]
    report = audited(export)
    assert report.is_clean
    assert (report.checkpoints, report.newest) == (0, None)


@pytest.mark.parametrize("name", ["file", "checkpoint"])
def test_an_export_that_cannot_be_read_says_so(export: KeptExport, name: str) -> None:
    export.put(a_log())
    getattr(export, name).unlink()
    with pytest.raises(Unavailable, match="No such file"):
        audited(export)


def test_a_checkpoint_that_is_none_is_named(export: KeptExport) -> None:
    export.put(a_log())
    export.checkpoint.write_bytes(b"no note\n")
    assert found(audited(export)) == [("checkpoint-invalid", None)]


# Folders of tiles.


@pytest.fixture
def tiles(tmp_path: Path) -> KeptTiles:
    return KeptTiles(tmp_path)


def a_wide_log() -> AuditedLog:
    """More entries than a bundle has."""
    log = AuditedLog().granted()
    for number in range(300):
        log.append(SUBJECT, given.toggled("on" if number % 2 else "off"), "7")
    log.publish("8")
    return log


def test_a_hash_tile_that_differs_is_named(tiles: KeptTiles) -> None:
    log = a_wide_log()
    tiles.put(log)
    assert audited(tiles).is_clean
    for path, position in (("tile/0/000", 1), ("tile/0/001.p/50", 257), ("tile/1/000.p/1", 1)):
        whole = (tiles.folder / path).read_bytes()
        tiles.write(path, whole[:-1] + bytes([whole[-1] ^ 1]))
        report = audited(tiles)
        assert found(report) == [("tiles-differ", position)]
        assert path in report.wrong[0].sentence
        # What a file server says beside the entries, an auditor's cosignature does not speak of.
        assert report.is_right
        (tiles.folder / path).unlink()
        assert "found none" in audited(tiles).wrong[0].sentence
        tiles.write(path, whole)


def test_a_folder_that_grew_since_its_checkpoint_is_read_as_that_says(tiles: KeptTiles) -> None:
    log = AuditedLog().granted()
    log.publish("7")
    first = log.notes[-1]
    for number in range(300):
        log.append(SUBJECT, given.toggled("on" if number % 2 else "off"), "8")
    log.publish("9")
    tiles.put(log)
    tiles.write("checkpoint", first)
    report = audited(tiles)
    assert found(report) == []
    assert report.entries == 6


def test_a_bundle_that_is_none_is_named_with_its_positions(tiles: KeptTiles) -> None:
    log = a_wide_log()
    tiles.put(log)
    bundle = tiles.folder / "tile/entries/001.p/50"
    whole = bundle.read_bytes()
    bundle.write_bytes(whole[:-1])
    with pytest.raises(NotVerified, match=r"the entries from position 257 on in .*001.p/50: expected an entry"):
        audited(tiles)
    last = len(log.entries[-1]) + 2
    bundle.write_bytes(whole[:-last])
    with pytest.raises(NotVerified, match="expected 50 entries, found 49"):
        audited(tiles)
    bundle.unlink()
    with pytest.raises(Unavailable, match=r"expected the entries from position 257 on in .* found no such file"):
        audited(tiles)


# Ledgers.


@pytest.fixture
def kept(ledger_place: Place) -> KeptLedger:
    return KeptLedger(ledger_place)


def test_a_row_that_was_deleted_leaves_a_gap(kept: KeptLedger) -> None:
    log = a_log()
    kept.put(log)
    with admin(kept.place) as connection:
        connection.execute("DELETE FROM ledger.log_entry WHERE position IN (3, 4)")
    report = audited(kept)
    assert ("position-missing", 3) in found(report)
    assert "found none at 3 to 4" in report.wrong[0].sentence
    assert not report.is_right


def test_a_map_that_covers_less_than_the_checkpoint_before_it_is_named(kept: KeptLedger) -> None:
    log = AuditedLog().granted()
    log.publish("7", covers=4)
    log.append(SUBJECT, given.toggled("off"), "8")
    log.publish("9", covers=5)
    kept.put(log)
    report = audited(kept)
    assert found(report) == [("map-covers", 8)]
    assert "cover all 6 entries of the checkpoint before it" in report.wrong[0].sentence


def test_every_checkpoint_of_a_ledger_is_compared(kept: KeptLedger) -> None:
    log = a_log()
    other = AuditedLog()
    for stored in [*log.entries[:5], encode_entry(structs.replace(log.entry(6), nonce="e" * 32)), log.entries[6]]:
        other.append_bytes(stored)
    log.notes[0] = other.checkpoint()
    kept.put(log)
    assert found(audited(kept, log=log)) == [("checkpoint-root", 7)]


def test_a_ledger_at_work_is_right(ledger: ConsentLedger, kept: KeptLedger, tmp_path: Path) -> None:
    grant(ledger, "ann", "bob")
    sequence(ledger)
    assert audited(kept, tmp_path / "seen").is_clean
    ledger.record("ann", toggled("off"))
    sequence(ledger)
    with Runner(ledger.url, ledger.place.name) as runner:
        for projection in PROJECTIONS.values():
            runner.catch_up(projection)
    ledger.record("bob", toggled("off"))
    report = audited(kept, tmp_path / "seen")
    assert found(report) == []
    assert (report.maps, report.checkpoints) == (2, 2)
    assert report.seen == report.entries - 3


def test_tables_that_follow_from_the_log_and_do_not_are_named(ledger: ConsentLedger, kept: KeptLedger) -> None:
    grant(ledger, "ann", "bob")
    sequence(ledger)
    with Runner(ledger.url, ledger.place.name) as runner:
        for projection in PROJECTIONS.values():
            runner.catch_up(projection)
    with admin(kept.place) as connection:
        connection.execute("UPDATE ledger.tree_tile SET hashes = set_byte(hashes, 0, 255 - get_byte(hashes, 0))")
        connection.execute(
            "UPDATE ledger.stream_head SET length = length + 1"
            " WHERE key = (SELECT key FROM ledger.stream_head ORDER BY key LIMIT 1)"
        )
        table = PROJECTIONS["current-consent"]
        connection.execute("UPDATE ledger.map_node SET hash = sha256(hash) WHERE depth = 0")
        connection.execute(f"UPDATE {table.tables}.{table.table} SET position = position + 1")
    report = audited(kept)
    assert report.counts == {"map-differs": 2, "projection-differs": 2, "tiles-differ": 1}
    # All of it can be made again from the entries, which are right.
    assert report.is_right
    assert not report.is_clean
    assert {one.details.get("projection") for one in report.wrong} == {None, "current-consent"}


def test_an_export_is_read_in_pages(export: KeptExport, monkeypatch: pytest.MonkeyPatch) -> None:
    log = a_log()
    export.put(log)
    monkeypatch.setattr("ledger.audit.export_source._PAGE", 4)
    pages = list(ExportSource(export.file).pages())
    assert [list(page.positions) for page in pages] == [[1, 2, 3, 4], [5, 6, 7, 8], [9]]
    assert audited(export).is_clean
