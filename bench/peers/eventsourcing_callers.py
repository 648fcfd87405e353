"""Callers of an application of the eventsourcing library on PostgreSQL: each saves a new aggregate of one event.

Usage: python -m bench.peers.eventsourcing_callers THREADS SECONDS (the server is named by POSTGRES_… variables)
"""

from __future__ import annotations

import sys
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate

from bench import calling


class Person(Aggregate):
    """A person who was shown terms: the event of its making is the one that the others store as well."""

    def __init__(self, terms: str, notice: str, toggles: dict[str, str], plan: str, surface: str, locale: str) -> None:
        self.shown = terms, notice, toggles, plan, surface, locale


def main() -> None:
    threads, seconds = sys.argv[1:]
    application: Application[UUID] = Application()

    def call() -> None:
        application.save(Person("2025-09-28", "f" * 64, {"model-training": "on"}, "pro", "pop-up", "en"))

    calling.when_told(lambda some: calling.by_threads(call, int(threads), some), float(seconds))
    application.close()


if __name__ == "__main__":
    main()
