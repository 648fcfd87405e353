"""`consent identities`: the links, from one ledger to another, in a role of their own."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

from psycopg.conninfo import conninfo_to_dict

from ledger.application import ConsentLedger, open_ledger
from ledger.settings import Place
from ledger.store.location import create_ledger
from tests.builders import admin, grant
from tests.cli.conftest import RunCli
from tests.importing.events import rejects


def links_of(text: str) -> dict[str, str]:
    return {link["identity"]: link["id"] for link in map(json.loads, text.splitlines())}


def test_links_move_to_another_ledger(
    ledger: ConsentLedger, ledger_place: Place, database_url: str, run_cli: RunCli, tmp_path: Path
) -> None:
    grant(ledger, "ann", "bob", "Zoë")
    exported = run_cli("identities", "export", place=ledger_place)
    assert exported.returncode == 0
    links = links_of(exported.stdout)
    assert list(links) == ["Zoë", "ann", "bob"]  # in the order of their bytes
    ids = {named: ledger.subject(named).subject_id for named in links}
    assert links == {named: (found or b"").hex() for named, found in ids.items()}
    file = tmp_path / "links.jsonl"
    told = run_cli("--json", "identities", "export", "-o", file, place=ledger_place)
    assert json.loads(told.stdout) == {"links": 3, "file": str(file)}
    assert file.read_text() == exported.stdout
    assert file.stat().st_mode & 0o777 == 0o600

    other = Place(database_url, None, tmp_path / "other")
    create_ledger(other, None)
    for new, known in ((3, 0), (0, 3)):
        done = run_cli("--json", "identities", "import", file, place=other)
        assert done.returncode == 0
        told_of = json.loads(done.stdout)
        assert (told_of["lines"], told_of["new"], told_of["known"], told_of["rejected"]) == (3, new, known, 0)
    with open_ledger(other) as moved:
        assert moved.subject("ann").stream == ledger.subject("ann").stream


def test_bad_links_are_rejected_line_by_line(
    ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli, tmp_path: Path
) -> None:
    grant(ledger, "ann", "bob", "gone")
    links = links_of(run_cli("identities", "export", place=ledger_place).stdout)
    ledger.erase("gone", "request")
    lines = [
        {"identity": "cem", "id": "0" * 31 + "1"},
        {"identity": "ann", "id": "0" * 31 + "2"},  # another subject
        {"identity": "dan", "id": links["bob"]},  # another's
        {"identity": "gone", "id": links["gone"]},
        {"identity": "somebody else", "id": links["gone"]},
        {"identity": "eve", "id": "0" * 31},
        {"identity": "id:" + "0" * 32, "id": "0" * 31 + "3"},
        {"identity": "fay", "id": "0" * 31 + "4", "extra": 1},
        {"identity": "ann", "id": links["ann"]},
        {"identity": "gus", "id": "0" * 31 + "5"},
    ]
    file = tmp_path / "links.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines) + "{\n")
    done = run_cli("identities", "import", file, place=ledger_place)
    assert done.returncode == 1
    assert done.stdout.startswith("11 links, 2 new, 1 there before, 8 rejected")
    assert [(reject["line"], reject["reason"].partition(", found")[0]) for reject in rejects(file)] == [
        (2, "expected a link that agrees with those in the ledger"),
        (3, "expected a link that agrees with those in the ledger"),
        (4, "expected a subject who is not erased"),
        (5, "expected a subject who is not erased"),
        (6, "expected `identity` and `id`"),
        (7, "expected an identity"),
        (8, "expected `identity` and `id`"),
        (11, "expected one JSON object a line"),
    ]
    assert ledger.identities.find(["gone"])["gone"].stream is None
    assert ledger.subject("gus").subject_id == bytes.fromhex("0" * 31 + "5")


def test_it_needs_its_own_role_and_no_other(ledger: ConsentLedger, ledger_place: Place, run_cli: RunCli) -> None:
    grant(ledger, "ann")
    carrier, service = (f"{name}_{ledger.identity.id.hex()[:8]}" for name in ("carrier", "service"))
    with admin(ledger_place) as connection:
        try:
            connection.execute(f"CREATE ROLE {carrier} LOGIN IN ROLE consent_identities")
            connection.execute(f"CREATE ROLE {service} LOGIN IN ROLE consent_service")
            found = {}
            for role in (carrier, service):
                place = Place(_as_user(ledger_place.url or "", role), None, ledger_place.state)
                found[role] = run_cli("identities", "export", place=place)
        finally:
            connection.execute(f"DROP ROLE {carrier}")
            connection.execute(f"DROP ROLE {service}")
    assert found[carrier].returncode == 0, found[carrier].stderr
    assert list(links_of(found[carrier].stdout)) == ["ann"]
    assert found[service].returncode == 3
    assert "GRANT consent_identities" in found[service].stderr


def _as_user(url: str, role: str) -> str:
    parts = conninfo_to_dict(url)
    query = {name: str(value) for name, value in parts.items() if name != "dbname"} | {"user": role}
    return f"postgresql:///{parts['dbname']}?{urlencode(query)}"


def test_a_file_that_is_not_there(ledger_place: Place, run_cli: RunCli, tmp_path: Path) -> None:
    done = run_cli("identities", "import", tmp_path / "none", place=ledger_place)
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
