"""Erasing a person: `subject-erased`, and the deletion of all that is erasable, in one transaction."""

from __future__ import annotations

from ledger.store.database import Connection
from ledger.store.statements import statement
from ledger.store.writer import Append, Outcome, parameters_of


def append_and_forget(connection: Connection, append: Append) -> Outcome:
    """Appends `subject-erased` and forgets the person, or does neither; the outcome of the append."""
    with connection.transaction():
        row = connection.execute(statement("append"), parameters_of([append])).fetchone()
        assert row is not None  # noqa: S101 - one append has one outcome
        _, name, position, clock = row
        if name == "stored":
            connection.execute(statement("forget"), {"stream": append.stream})
    return Outcome(name, position, clock)
