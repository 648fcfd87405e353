"""Whatever is asked, the command line answers in one sentence, and its exit status says whose fault it is."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from psycopg import sql

from cli.main import consent
from ledger.application import ConsentLedger
from ledger.settings import Place
from tests import builders
from tests.cli.conftest import RunCli
from tests.domain.given import EXAMPLES

Words = tuple[str, ...]
#: Everywhere the user who owns nothing.
NOBODY = 65534
#: Of no log of ours: that of the known answers.
VKEY = "consent.example/log1+a234cbb7+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
#: What works without any ledger.
NO_LEDGER: set[Words] = {("keys", "new"), ("verify",), ("witness",)}
#: What each command needs at least; FILE is one that it can read, NEW one that is not there yet.
ASKED: dict[Words, Words] = {
    ("init",): (),
    ("terms", "publish"): ("{terms}",),
    ("terms", "list"): (),
    ("terms", "show"): ("2025-09-28",),
    ("record", "terms-shown"): ("eve", "--plan", "pro"),
    ("record", "accepted"): ("eve", "--plan", "pro", "--toggle", "model-training=off"),
    ("record", "toggle-changed"): ("ann", "--to", "off"),
    ("import",): ("{events}",),
    ("restore",): ("{events}",),
    ("identities", "export"): (),
    ("identities", "import"): ("{links}",),
    ("simulate",): ("--subjects", "2", "--seed", "1", "-o", "{new}"),
    ("status",): ("ann",),
    ("check",): ("ann", "--collected-at", "2025-09-05T10:00:00Z"),
    ("filter",): ("{items}", "--run", "r1", "--started-at", "2026-01-01T00:00:00Z", "--out", "{new}"),
    ("replay",): (),
    ("projections", "list"): (),
    ("projections", "rebuild"): (),
    ("projections", "verify"): (),
    ("projections", "adoption"): (),
    ("projections", "forget"): ("search",),
    ("subscribe",): ("current-consent",),
    ("relay",): ("nats://127.0.0.1:1", "current-consent"),
    ("export",): ("--format", "jsonl"),
    ("prove",): ("ann",),
    ("tiles",): ("{new}",),
    ("checkpoint",): (),
    ("sequence",): ("--follow",),
    ("keys", "show"): (),
    ("keys", "rotate"): (),
    ("keys", "retire"): (),
    ("keys", "new"): ("witness.example", "-o", "{new}"),
    ("verify",): ("{events}", "--key", VKEY),
    ("audit",): (),
    # The key is none, or it would go on and serve.
    ("witness",): ("--key", "{events}", "--log", VKEY, "--state", "{new}"),
    ("tokens", "create"): ("product", "--scope", "read"),
    ("tokens", "list"): (),
    ("tokens", "revoke"): ("product",),
    # The certificate is none, as the key above.
    ("serve",): ("--port", "0", "--certificate", "{events}", "--certificate-key", "{events}"),
    ("erase",): ("nobody", "--yes"),
    ("doctor",): (),
}
COMMANDS = pytest.mark.parametrize("path", ASKED, ids=" ".join)


def leaves(command: click.Command, path: Words = ()) -> Iterator[tuple[Words, click.Command]]:
    if not isinstance(command, click.Group):
        yield path, command
        return
    context = click.Context(command)
    for name in command.list_commands(context):
        found = command.get_command(context, name)
        assert found is not None
        yield from leaves(found, (*path, name))


def at(path: Words) -> click.Command:
    found: click.Command = consent
    for name in path:
        assert isinstance(found, click.Group)
        inner = found.get_command(click.Context(found), name)
        assert inner is not None
        found = inner
    return found


def test_every_command_is_asked_here() -> None:
    assert {path for path, _ in leaves(consent)} == ASKED.keys()


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    contents = {
        "terms": (EXAMPLES / "2025-09-28-future-runs.toml").read_text(),
        "events": json.dumps(
            {
                "event": "toggle-changed",
                "subject": "ann",
                "occurred_at": "2025-09-07T10:00:00Z",
                "data": {"purpose": "model-training", "to": "off", "surface": "x", "cause": "person"},
            }
        ),
        "links": json.dumps({"identity": "zoe", "id": "0" * 32}),
        "items": "subject,item,collected_at\nann,i1,2025-09-05T10:00:00Z\n",
    }
    for name, text in contents.items():
        suffix = ".csv" if name == "items" else ""
        (tmp_path / f"{name}{suffix}").write_text(text)
    names = {name: str(tmp_path / f"{name}{'.csv' if name == 'items' else ''}") for name in contents}
    return {**names, "new": str(tmp_path / "new")}


def minimal(path: Words, files: dict[str, str]) -> list[str]:
    return [*path, *(word.format(**files) for word in ASKED[path])]


# Wrong usage.


@COMMANDS
def test_wrong_usage_is_2_and_one_sentence(path: Words, files: dict[str, str], run_here: RunCli) -> None:
    for wrong in ("--nonsense", "--help=yes"):
        assert_one_sentence(run_here(*minimal(path, files), wrong), 2)
    takes_any_number = any(parameter.nargs == -1 for parameter in at(path).params)
    if not takes_any_number:
        assert_one_sentence(run_here(*minimal(path, files), "one", "too", "many"), 2)


@pytest.mark.parametrize("url", ["", "127.0.0.1:4222", "http://127.0.0.1:4222", "nats://ann:secret@[::1"])
def test_a_url_of_no_nats_server_is_2(url: str, run_here: RunCli, tmp_path: Path) -> None:
    """Before any ledger is looked for; and a password that stands in it is not repeated."""
    done = run_here("relay", url, "current-consent", place=unusable("nowhere", tmp_path))
    assert_one_sentence(done, 2)
    assert "expected the URL of a NATS server like nats://127.0.0.1:4222, found something else" in done.stderr
    assert "secret" not in done.stderr


@pytest.mark.parametrize(
    "arguments", [["nonsense"], ["--nonsense"], ["--ledger"], ["terms"], ["terms", "nonsense"], []]
)
def test_wrong_usage_of_the_program_is_2(arguments: list[str], run_cli: RunCli) -> None:
    done = run_cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr


def assert_one_sentence(done: Any, status: int) -> None:
    assert (done.returncode, done.stdout) == (status, ""), done
    assert done.stderr.startswith("consent: "), done
    assert done.stderr.count("\n") == 1, done
    assert "expected to get through" not in done.stderr, done


# A ledger that cannot be used.


UNUSABLE = ["refused", "no URL", "empty folder", "file", "nowhere"]


def unusable(what: str, folder: Path) -> Place:
    (folder / "empty").mkdir()
    (folder / "file").write_text("no ledger")
    return {
        "refused": Place("postgresql://127.0.0.1:1/x", None, folder),
        "no URL": Place("postgresql://ann:secret@[::1", None, folder),
        "empty folder": Place(None, folder / "empty", folder),
        "file": Place(None, folder / "file", folder),
        "nowhere": Place(None, Path("/proc/nowhere/ledger"), folder),
    }[what]


@pytest.mark.parametrize(
    ("path", "what"),
    # In an empty folder, init makes a ledger.
    [
        (path, what)
        for path in ASKED
        for what in UNUSABLE
        if path not in NO_LEDGER and (path, what) != (("init",), "empty folder")
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_ledger_that_cannot_be_used_is_3_and_one_sentence(
    path: Words, what: str, files: dict[str, str], run_here: RunCli, tmp_path: Path
) -> None:
    done = run_here(*minimal(path, files), place=unusable(what, tmp_path))
    assert_one_sentence(done, 3)
    assert "secret" not in done.stderr
    assert not Path(files["new"]).exists()


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    """Nothing is forbidden to root: so not as root."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_3(run_here: RunCli, tmp_path: Path) -> None:
    forbidden = tmp_path / "forbidden"
    forbidden.mkdir(mode=0)
    place = Place(None, forbidden / "ledger", tmp_path)
    run_here("status", "ann", place=unusable("nowhere", tmp_path))  # whatever is imported, before it may be forbidden
    with as_nobody():
        assert_one_sentence(run_here("status", "ann", place=place), 3)
        assert_one_sentence(run_here("init", place=place), 3)


def test_so_it_is_from_a_shell(run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("status", "ann", place=Place("postgresql://127.0.0.1:1/x", None, tmp_path))
    assert_one_sentence(done, 3)


def test_a_database_without_a_ledger_is_3(database_url: str, run_here: RunCli, tmp_path: Path) -> None:
    assert_one_sentence(run_here("status", "ann", place=Place(database_url, None, tmp_path)), 3)
    gone = Place(database_url.replace("/test_", "/gone_"), None, tmp_path)
    assert_one_sentence(run_here("status", "ann", place=gone), 3)


# Anything else.

ODD = [
    "",
    " ",
    "-",
    "\udcff\udc80",
    "x" * 100_000,
    "Zoë 🙂 \u202e\u2028",
    "\x1b[31m\r\n\t",
    "id:zz",
    "id:" + "A" * 32,
    "key:" + "0" * 63,
    "id:" + "f" * 32,
    "model-training=on",
    "2025-02-30T00:00:00Z",
    "9999-12-31T23:59:59.9999999Z",
    "0001-01-01T00:00:00+23:59",
    "99999999999999999999999999",
    "-1",
    "/proc/self/mem",
    "/dev/null",
    "'; DROP TABLE ledger.log_entry; --",
]


@COMMANDS
def test_odd_values_of_every_parameter_get_an_answer(
    path: Words,
    files: dict[str, str],
    ledger: ConsentLedger,
    ledger_place: Place,
    run_here: RunCli,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    builders.grant(ledger, "ann")
    monkeypatch.chdir(tmp_path)
    parameters = at(path).params
    for parameter in parameters:
        for odd in ODD:
            asked = with_value(path, files, parameter, odd)
            if asked is not None:
                assert_answered(run_here(*asked, place=ledger_place), asked)
    assert ledger.subject("ann").stream is not None


def with_value(path: Words, files: dict[str, str], parameter: click.Parameter, odd: str) -> list[str] | None:
    """The least request with another value of one parameter; None for one that takes no value."""
    words = minimal(path, files)[len(path) :]
    if isinstance(parameter, click.Argument):
        begins_with_it = bool(words) and not words[0].startswith("-")
        return [*path, *(words[1:] if begins_with_it else words), "--", odd]
    assert isinstance(parameter, click.Option)
    if parameter.is_flag:
        return None
    if parameter.opts[0] in words:
        place = words.index(parameter.opts[0])
        del words[place : place + 2]
    return [*path, *words, parameter.opts[0], odd]


def assert_answered(done: Any, asked: object) -> None:
    assert done.returncode in (0, 1, 2, 3), asked
    said = done.stdout + done.stderr
    assert "Traceback" not in said, asked
    assert "expected to get through" not in said, (asked, done.stderr)
    if done.returncode in (2, 3):
        assert_one_sentence(done, done.returncode)


ODD_CONTENTS = {
    "empty": b"",
    "zeros": b"\x00" * 4096,
    "no UTF-8": b"\xff\xfe\xfa subject \xc3\x28",
    "one long line": b'{"event":"' + b"x" * 3_000_000 + b'"}\n',
    "deep JSON": b"[" * 100_000 + b"]" * 100_000,
    "lone surrogate": b'{"event":"terms-shown","subject":"\\ud800","identity":"\\ud800","item":"\\ud800"}\n',
    "zero character": b'{"event":"terms-shown","subject":"a\\u0000b","identity":"a\\u0000b"}\n',
    "no object": b'null\n1\n"x"\n[]\n',
    "huge number": b'{"event":"run-started","run":"r","data":{"cutoff":1e999},"occurred_at":9e99}\n',
    "TOML that is none": b'version = "\\ud800"\n[[[',
    "broken quotes": b'subject,item,collected_at\n"ann,i1,2025\n',
}


#: What reads a file, with the endings that it tells files by; ODD is where the odd file goes.
READERS: list[tuple[Words, Words]] = [
    (("terms", "publish", "ODD"), (".toml",)),
    (("import", "ODD"), (".jsonl",)),
    (("identities", "import", "ODD"), (".jsonl",)),
    (("simulate", "--items", "ODD", "--seed", "1", "-o", "NEW"), (".csv", ".jsonl", ".parquet", "")),
    (("filter", "ODD", "--run", "r1", "--out", "NEW"), (".csv", ".jsonl", ".parquet", "")),
    (("replay", "--terms", "ODD"), (".toml",)),
    (("record", "terms-shown", "ann", "--plan", "pro", "--evidence", "ODD"), ("",)),
    (("checkpoint", "--add", "ODD"), ("",)),
    (("prove", "--consistency", "ODD"), ("",)),
    (("verify", "ODD", "--key", VKEY), ("",)),
    (("verify", "ODD", "--policy", "ODD"), ("",)),
    (("audit", "ODD"), ("", ".jsonl")),
    (("audit", "--state", "ODD"), ("",)),
    (("audit", "--policy", "ODD"), ("",)),
    (("checkpoint", "--witnesses", "ODD"), ("",)),
    (("witness", "--key", "ODD", "--log", VKEY, "--state", "NEW"), ("",)),
    (("prove", "--item", "i1", "--run", "r1", "--subject", "ann", "--items", "ODD"), ("", ".parquet")),
]


@pytest.mark.parametrize(("reader", "endings"), READERS, ids=[" ".join(reader) for reader, _ in READERS])
def test_odd_files_get_an_answer(
    reader: Words, endings: Words, ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, tmp_path: Path
) -> None:
    builders.grant(ledger, "ann")
    for number, (what, contents) in enumerate(ODD_CONTENTS.items()):
        for ending in endings:
            file, new = tmp_path / f"odd{number}{ending}", tmp_path / f"new{number}{ending}"
            file.write_bytes(contents)
            asked = [{"ODD": str(file), "NEW": str(new), "r1": f"r{number}{ending}"}.get(word, word) for word in reader]
            assert_answered(run_here(*asked, place=ledger_place), (what, asked))


def test_bytes_that_are_no_text_from_a_shell(run_cli: RunCli, ledger: ConsentLedger, ledger_place: Place) -> None:
    done = run_cli("status", b"\xff\xfe".decode(errors="surrogateescape"), place=ledger_place)
    assert_one_sentence(done, 2)


@pytest.mark.parametrize(
    "command", [("record", "toggle-changed"), ("record", "terms-shown"), ("filter",), ("subscribe",)]
)
def test_a_replica_is_said_to_only_read(
    command: Words, ledger: ConsentLedger, ledger_place: Place, run_here: RunCli, tmp_path: Path
) -> None:
    builders.grant(ledger, "ann")
    ledger.close()
    with builders.admin(ledger_place) as connection:
        database = sql.Identifier(connection.info.dbname)
        connection.execute(sql.SQL("ALTER DATABASE {} SET default_transaction_read_only = on").format(database))
    items = tmp_path / "items.csv"
    items.write_text("subject,item,collected_at\nann,i,2025-09-05T10:00:00Z\n", encoding="utf-8")
    words = [word.format(items=items, new=tmp_path / "new") for word in ASKED[command]]
    done = run_here(*command, *words, place=ledger_place)
    assert (done.returncode, done.stdout) == (3, ""), done.stderr
    assert "found a server that only reads, as a replica does; use the primary" in done.stderr
    assert run_here("status", "ann", place=ledger_place).returncode == 0
