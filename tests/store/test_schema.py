"""Migrations: fresh equals migrated from any number; made once, whoever comes at once; strangers in age are refused."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ledger.application import open_ledger
from ledger.errors import LedgerMissing, Unavailable
from ledger.settings import Place
from ledger.store import schema
from ledger.store.database import connect
from ledger.store.location import create_ledger
from tests import builders as b
from tests import servers

ROOT = Path(__file__).parents[2]

# All that makes a schema what it is: tables, columns, constraints, indexes, triggers, functions, and who may do what.
CATALOGUE = """
SELECT 'relation', relname, relkind::text, relacl::text
FROM pg_class WHERE relnamespace = 'ledger'::regnamespace
UNION ALL
SELECT 'column', c.relname, concat_ws(' ', a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.attgenerated, a.attcollation), pg_get_expr(d.adbin, d.adrelid)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'ledger'::regnamespace AND NOT a.attisdropped AND a.attnum > 0
UNION ALL
SELECT 'constraint', conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE connamespace = 'ledger'::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'ledger'
UNION ALL
SELECT 'trigger', tgrelid::regclass::text, tgenabled::text, pg_get_triggerdef(oid)
FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT 'function', proname, proacl::text, pg_get_functiondef(oid)
FROM pg_proc WHERE pronamespace = 'ledger'::regnamespace
UNION ALL
SELECT 'schema', nspname, nspacl::text, NULL FROM pg_namespace WHERE nspname = 'ledger'
UNION ALL
SELECT 'database', '', datacl::text, NULL FROM pg_database WHERE datname = current_database()
UNION ALL
SELECT 'migration', number::text, NULL, NULL FROM ledger.migration
ORDER BY 1, 2, 3, 4
"""
NEWEST = schema.migrations()[-1][0]


def place_at(url: str, state: Path) -> Place:
    return Place(url, None, state)


def catalogue(url: str) -> list[tuple[str | None, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(CATALOGUE).fetchall()


@pytest.fixture
def databases(server_url: str) -> Iterator[list[str]]:
    """The URLs of one fresh database for each number that a schema may be at, and one more."""
    names = [f"test_{uuid.uuid4().hex}" for _ in range(NEWEST + 1)]
    with psycopg.connect(server_url, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield [servers.with_database(server_url, name) for name in names]
        for name in names:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_fresh_equals_migrated_from_any_number(databases: list[str], tmp_path: Path) -> None:
    for number, url in enumerate(databases[:-1], 1):
        with psycopg.connect(url) as connection:
            schema.migrate(connection, target=number)
        with psycopg.connect(url) as connection:
            schema.migrate(connection)
    create_ledger(place_at(databases[-1], tmp_path), None)
    fresh = catalogue(databases[-1])
    assert len(fresh) > 80
    for url in databases[:-1]:
        assert catalogue(url) == fresh


def test_numbers_follow_each_other() -> None:
    assert [number for number, _ in schema.migrations()] == list(range(1, NEWEST + 1))


def test_created_twice_it_stays_as_it_is(database_url: str, tmp_path: Path) -> None:
    place = place_at(database_url, tmp_path)
    first, is_new = create_ledger(place, "ledger.example.org")
    assert is_new
    assert first.origin == "ledger.example.org"
    before = catalogue(database_url)
    assert create_ledger(place, "another.example.org") == (first, False)
    assert catalogue(database_url) == before
    assert [path.name for path in tmp_path.iterdir()] == [first.id.hex()]


CREATOR = """
import sys
from pathlib import Path
from ledger.settings import Place
from ledger.store.location import create_ledger
sys.stdin.read(1)
identity, is_new = create_ledger(Place(sys.argv[1], None, Path(sys.argv[2])), None)
print(identity.id.hex(), is_new)
"""


def created_at_once(urls: list[str], state: Path) -> list[list[str]]:
    """Processes that stand ready and are let go together; what each says."""
    creators = [
        subprocess.Popen(
            [sys.executable, "-c", CREATOR, url, str(state)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for url in urls
    ]
    with ThreadPoolExecutor(len(creators)) as pool:
        said = list(pool.map(lambda creator: creator.communicate("x", timeout=60), creators))
    assert [creator.returncode for creator in creators] == [0] * len(urls), [complaint for _, complaint in said]
    return [answer.split() for answer, _ in said]


def test_created_by_many_at_once(database_url: str, tmp_path: Path) -> None:
    answers = created_at_once([database_url] * 3, tmp_path)
    assert len({identity for identity, _ in answers}) == 1
    assert sorted(is_new for _, is_new in answers) == ["False", "False", "True"]
    with open_ledger(place_at(database_url, tmp_path)) as ledger:
        assert ledger.identity.id.hex() == answers[0][0]


def test_many_ledgers_made_at_once_on_a_new_server(system_url: str, tmp_path: Path) -> None:
    """The roles belong to the server: all make them, one is first, and each ledger can be used."""
    programs = servers.system_programs()
    assert programs is not None
    with tempfile.TemporaryDirectory(prefix="fresh-") as folder:
        Path(folder).chmod(0o711)
        home = Path(folder) / "system"
        url = servers.start_system(programs, home)
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                for number in range(4):
                    connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(f"ledger_{number}")))
            urls = [servers.with_database(url, f"ledger_{number}") for number in range(4)]
            assert [is_new for _, is_new in created_at_once(urls, tmp_path)] == ["True"] * 4
            for made in urls:
                with open_ledger(place_at(made, tmp_path)) as ledger:
                    assert ledger.publish(b.TERMS) == 1
        finally:
            servers.stop_system(home)


def test_a_ledger_of_another_age(ledger_place: Place) -> None:
    with b.admin(ledger_place) as admin:
        admin.execute("INSERT INTO ledger.migration VALUES (%s, now())", [NEWEST + 1])
        with pytest.raises(Unavailable, match=f"expected the ledger's schema at {NEWEST}, found {NEWEST + 1}; upgrade"):
            open_ledger(ledger_place).__enter__()
        admin.execute("DELETE FROM ledger.migration WHERE number >= %s", [NEWEST])
        with pytest.raises(Unavailable, match=f"found {NEWEST - 1}; its owner runs `consent init`"):
            open_ledger(ledger_place).__enter__()


def test_no_ledger_there(database_url: str, ledger_place: Place, tmp_path: Path) -> None:
    with pytest.raises(LedgerMissing, match="consent init"):
        open_ledger(place_at(database_url, tmp_path)).__enter__()
    with pytest.raises(Unavailable, match="does not exist"):
        open_ledger(place_at(servers.with_database(database_url, "no_such_database"), tmp_path)).__enter__()


def test_a_ledger_without_its_secret_is_not_used(ledger_place: Place, tmp_path: Path) -> None:
    """And `init` from another machine must not give it a second one: by that nobody erased would be known."""
    elsewhere = place_at(ledger_place.url or "", tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(Unavailable, match="secret of erasure"):
            open_ledger(elsewhere).__enter__()
        assert create_ledger(elsewhere, None)[1] is False


def test_no_ledger_is_made_whose_secret_cannot_be_kept(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable, match="set CONSENT_STATE"):
        create_ledger(place_at(database_url, tmp_path / "file"), None)
    with pytest.raises(LedgerMissing):
        open_ledger(place_at(database_url, tmp_path)).__enter__()
    assert create_ledger(place_at(database_url, tmp_path), None)[1] is True


@pytest.fixture
def user_url(server_url: str, ledger_place: Place) -> Iterator[str]:
    """The ledger's URL, as a user who is a member of consent_service and nothing else."""
    user = f"user_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        create = "CREATE ROLE {} LOGIN NOINHERIT IN ROLE consent_service"
        connection.execute(sql.SQL(create).format(sql.Identifier(user)))
        yield (ledger_place.url or "").replace("user=postgres", f"user={user}")
        connection.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(user)))


def test_a_member_of_the_service_appends_and_reads_and_makes_no_ledger(
    user_url: str, database_url: str, ledger_place: Place
) -> None:
    with open_ledger(place_at(user_url, ledger_place.state)) as ledger:
        b.grant(ledger, "anna")
        assert ledger.record("anna", b.toggled("off"), key="k", evidence=b"203.0.113.7").position == 4
        assert len(ledger.entries_of(ledger.subject("anna").stream or "")) == 3
        assert ledger.erase("anna", "request").position == 5
    name = database_url.removeprefix("postgresql:///").partition("?")[0]
    with pytest.raises(Unavailable, match="may create schemas and roles"):
        create_ledger(place_at(servers.with_database(user_url, name), ledger_place.state), None)
    with pytest.raises(Unavailable, match="may create schemas and roles"):
        create_ledger(place_at(user_url, ledger_place.state), None)
    with pytest.raises(Unavailable, match="may act as consent_identities"):
        connect(user_url, "the ledger", "consent_identities")


def test_whoever_is_no_member_is_told_so(user_url: str, server_url: str, ledger_place: Place) -> None:
    with b.admin(ledger_place) as admin:
        user = user_url.partition("user=")[2].partition("&")[0]
        admin.execute(sql.SQL("REVOKE consent_service FROM {}").format(sql.Identifier(user)))
    with pytest.raises(Unavailable, match="ask the owner for GRANT consent_service"):
        open_ledger(place_at(user_url, ledger_place.state)).__enter__()
