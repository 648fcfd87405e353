"""Erasing a person: `subject-erased`, and the deletion of all that is erasable, in one transaction."""

from __future__ import annotations

import psycopg

from ledger.store.database import Connection, one_line
from ledger.store.parameters import parameters_of
from ledger.store.statements import statement
from ledger.store.writer import Append, Outcome, outcome_unknown


def append_and_forget(connection: Connection, append: Append) -> Outcome:
    """Appends `subject-erased` and forgets the person, or does neither; the outcome of the append."""
    try:
        with connection.transaction():
            row = connection.execute(statement("append"), parameters_of([append])).fetchone()
            assert row is not None  # noqa: S101 - one append has one outcome
            _, name, position, clock = row
            if name == "stored":
                connection.execute(statement("forget"), {"stream": append.stream})
    except psycopg.OperationalError as error:
        # Whoever asks again is told that the person is erased, or erases them.
        raise outcome_unknown(append.stream, one_line(error)) from None
    return Outcome(name, position, clock)
