"""Real servers for the tests: the embedded one, and the system's PostgreSQL for the tests of the store."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from ledger.application import ConsentLedger, open_ledger
from ledger.keyring import create_keys
from ledger.settings import Place
from ledger.store import embedded, schema
from ledger.store.secret import create_secret
from tests import servers
from tests.needed import leave_out

#: The folder of this run's servers, made by the process that started pytest; its workers share them.
_HOME = "CONSENT_TEST_HOME"
_TESTS = Path(__file__).parent
#: What runs on both servers: the oldest PostgreSQL that is promised to work, and the newest.
_ON_BOTH = (_TESTS / "store", _TESTS / "test_application.py")
_TEMPLATE = "ledger_template"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        home = tempfile.mkdtemp(prefix="ledger-test-")
        Path(home).chmod(0o711)  # the accounts that root runs servers as must pass
        os.environ[_HOME] = home


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput") and _HOME in os.environ:
        home = Path(os.environ.pop(_HOME))
        if embedded.is_initialised(home / "embedded"):
            embedded.start(home / "embedded").close()  # whoever was killed left it running; the last one out stops it
        servers.stop_system(home / "system")
        shutil.rmtree(home)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "server_url" in metafunc.fixturenames and any(metafunc.definition.path.is_relative_to(p) for p in _ON_BOTH):
        metafunc.parametrize("server_url", ["embedded", "system"], indirect=True, scope="session")


@pytest.fixture(scope="session")
def embedded_url() -> Iterator[str]:
    directory = Path(os.environ[_HOME]) / "embedded"
    directory.mkdir(mode=0o711, exist_ok=True)
    with embedded.start(directory) as server:
        yield servers.url_of(server.dsn)


@pytest.fixture(scope="session")
def system_url() -> str:
    programs = servers.system_programs()
    if programs is None:
        leave_out(f"no PostgreSQL server of the system's in {servers.SYSTEM}: install `postgresql`")
    return servers.start_system(programs, Path(os.environ[_HOME]) / "system")


@pytest.fixture(scope="session")
def server_url(request: pytest.FixtureRequest) -> str:
    """The URL of a running server's database `postgres`, as superuser."""
    which = getattr(request, "param", "embedded")
    url: str = request.getfixturevalue(f"{which}_url")
    return url


@pytest.fixture
def database_url(server_url: str) -> Iterator[str]:
    """The URL of a fresh database without a ledger, as superuser."""
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        yield servers.with_database(server_url, name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def template(server_url: str) -> str:
    """The name of a database with the newest schema and no ledger, made once on each server."""
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(1)")  # of the workers the first makes it
        known = connection.execute("SELECT FROM pg_database WHERE datname = %s", [_TEMPLATE]).fetchone()
        if known is None:
            making = f"{_TEMPLATE}_{uuid.uuid4().hex}"
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(making)))
            with psycopg.connect(servers.with_database(server_url, making)) as inside:
                schema.migrate(inside)
            renaming = sql.SQL("ALTER DATABASE {} RENAME TO {}")
            connection.execute(renaming.format(sql.Identifier(making), sql.Identifier(_TEMPLATE)))
    return _TEMPLATE


@pytest.fixture
def ledger_place(server_url: str, template: str, tmp_path: Path) -> Iterator[Place]:
    """Where an empty ledger of this test's own is."""
    name = f"test_{uuid.uuid4().hex}"
    place = Place(servers.with_database(server_url, name), None, tmp_path / "state")
    with psycopg.connect(server_url, autocommit=True) as connection:
        copy = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        connection.execute(copy.format(sql.Identifier(name), sql.Identifier(template)))
        # What a copy does not bring along: the rights to the database itself.
        grant = sql.SQL("GRANT CREATE ON DATABASE {} TO consent_projections")
        connection.execute(grant.format(sql.Identifier(name)))
        with psycopg.connect(place.url or "") as inside:
            ledger_id = uuid.uuid4().bytes
            inside.execute("INSERT INTO ledger.ledger (id, origin) VALUES (%s, 'ledger.test')", [ledger_id])
        create_secret(place.state, ledger_id)
        create_keys(place.state, ledger_id, "ledger.test")
        yield place
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def ledger(ledger_place: Place) -> Iterator[ConsentLedger]:
    """An empty ledger, open."""
    with open_ledger(ledger_place) as ledger:
        yield ledger
