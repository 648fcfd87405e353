"""The document, held to by others' tools: schemathesis with all its checks, and a client that was made from it."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from ledger.application import ConsentLedger
from ledger.sequencer.steps import sequence
from ledger.service.app import ROUTERS
from ledger.service.openapi import document
from tests import builders as b
from tests.service.conftest import Serve
from tests.service.test_routes import SHOWN, event

#: Test cases for each route, of each kind; a run of 200 finds no more, and takes a minute.
EXAMPLES = 25


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, methods in document(ROUTERS)["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_route_is_told_with_examples_scopes_and_statuses() -> None:
    names = [operation["operationId"] for *_, operation in operations()]
    assert len(set(names)) == len(names) >= 17
    for _, path, operation in operations():
        assert operation["summary"], path
        assert {"400", "429", "431", "500", "503"} <= operation["responses"].keys(), path
        if operation["security"]:
            assert {"401", "403"} <= operation["responses"].keys(), path
            assert "Scope: `" in operation["description"], path
        else:
            assert "Public." in operation["description"], path
        if "requestBody" in operation:
            content = operation["requestBody"]["content"]["application/json"]
            assert content["examples"], path
            assert {"413", "415", "422"} <= operation["responses"].keys(), path


def test_no_pattern_is_one_that_other_readers_take_for_another() -> None:
    assert r"\A" not in str(document(ROUTERS)).replace("\\\\", "\\")


def ask_schemathesis(url: str, token: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = Path(sys.executable).with_name("st")
    # A stream that goes on would keep it for ever: each is asked to end once it has told all there is.
    headers = ["--header", f"Authorization: Bearer {token}", "--header", "Consent-Follow: no"]
    options = ["--checks", "all", "--max-examples", str(EXAMPLES), "--seed", "1", "--no-color"]
    return subprocess.run(
        [program, "run", f"{url}/openapi.json", *headers, *options],
        cwd=folder,
        env={**os.environ, "HYPOTHESIS_STORAGE_DIRECTORY": str(folder)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.mark.slow
def test_schemathesis_finds_nothing(serve: Serve, ledger: ConsentLedger, tmp_path: Path) -> None:
    """All checks: what the document allows is accepted, what it forbids is refused, every answer is as it says."""
    b.grant(ledger, "alice@example.org")
    sequence(ledger)
    served = serve(rate=1e6)
    # Whose subscription the document's example is.
    done = ask_schemathesis(served.url, served.token(name="search"), tmp_path)
    assert done.returncode == 0, done.stdout
    assert "18 selected / 18 total" in done.stdout


@pytest.mark.slow
def test_a_generated_client_works(
    serve: Serve, ledger: ConsentLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.publish(b.TERMS)
    served = serve()
    (tmp_path / "openapi.json").write_text(httpx.get(f"{served.url}/openapi.json").text)
    (tmp_path / "config.yml").write_text("post_hooks: []\npackage_name_override: made_client\n")
    program = Path(sys.executable).with_name("openapi-python-client")
    made = subprocess.run(
        [
            *(str(program), "generate", "--path", "openapi.json", "--config", "config.yml"),
            *("--output-path", "made", "--meta", "none", "--fail-on-warning"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    (tmp_path / "made").rename(tmp_path / "made_client")
    monkeypatch.syspath_prepend(tmp_path)
    client = importlib.import_module("made_client").AuthenticatedClient(served.url, served.token())
    models = importlib.import_module("made_client.models")

    def ask(operation: str, **given: Any) -> Any:
        return importlib.import_module(f"made_client.api.default.{operation}").sync(client=client, **given)

    with client:
        recorded = ask("record_event", body=models.RecordTermsShown.from_dict(event("terms-shown", SHOWN)))
        assert (recorded.position, recorded.repeated) == (2, False)
        assert ask("status", body=models.AskStatus(subject="ann")).purposes[0].state == "undecided"
        verdict = ask("check", body=models.AskVerdict(subject="ann", collected_at="2025-10-01T08:00:00Z"))
        assert (verdict.permitted, verdict.reason) == (False, "no-decision")
        refusal = ask("status", body=models.AskStatus(subject="nobody"))
        assert (refusal.status, refusal.code) == (404, "unknown-subject")
        assert ask("terms").versions[0].notice == b.TERMS.notice_hash()
        assert json.loads(json.dumps(ask("ready").to_dict())) == {"ready": True}
