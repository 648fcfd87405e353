"""A subscriber for the tests: reads server-sent events as the standard says, and keeps what it was told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.service.conftest import SECONDS, Served

#: The kind, what was told, and the id where there was one.
Event = tuple[str, dict[str, Any], str | None]


def events_in(lines: Iterator[str]) -> Iterator[Event]:
    """The events of a stream; one that was cut off is none."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "event" in fields:
            yield fields["event"], json.loads(fields["data"]), fields.get("id")
            fields = {}


def path_of(projection: str) -> str:
    return f"/v1/projections/{projection}/changes"


@contextmanager
def following(
    served: Served, projection: str, after: str | None = None, token: str | None = None
) -> Iterator[Iterator[Event]]:
    """The events of one connection."""
    with served.client("read", token=token) as client, _stream(client, projection, after, {}) as events:
        yield events


def all_events(client: httpx.Client, projection: str, after: str | None = None) -> list[Event]:
    """What there is by now."""
    with _stream(client, projection, after, {"Consent-Follow": "no"}) as events:
        return list(events)


@contextmanager
def _stream(
    client: httpx.Client, projection: str, after: str | None, headers: dict[str, str]
) -> Iterator[Iterator[Event]]:
    if after is not None:
        headers = headers | {"Last-Event-ID": after}
    with client.stream("GET", path_of(projection), headers=headers, timeout=SECONDS) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        yield events_in(answer.iter_lines())
