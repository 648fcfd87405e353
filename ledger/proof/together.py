"""Several files verified together: each by itself, then the checkpoints against each other, then the receipts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ledger.errors import NotVerified
from ledger.proof.asked import Asked
from ledger.proof.kept import Kept, judge_promise
from ledger.proof.policy import Trust
from ledger.proof.statement import Statement
from ledger.proof.two_histories import demand_one_history
from ledger.proof.verifying import verify_file


@dataclass(frozen=True, slots=True)
class Verified:
    """One file that holds. `kept` is of receipts, and of them alone."""

    name: str
    statement: Statement
    kept: Kept | None

    @property
    def is_good(self) -> bool:
        """Whether nothing is wrong with what it shows: no use outside what was allowed, no promise broken."""
        return not self.statement.violations and (self.kept is None or self.kept.state != "broken")


def verify_files(files: Iterable[tuple[str, bytes]], trust: Trust, asked: Asked) -> list[Verified]:
    """What each file, by its name, says; `NotVerified` names the first that does not hold.

    `TwoHistories` where each may hold by itself, and not all together.
    """
    statements = [(name, _verify(name, data, trust, asked)) for name, data in files]
    shown = [proven for _, statement in statements for proven in statement.proven]
    demand_one_history(shown)
    return [
        Verified(name, statement, None if statement.promise is None else judge_promise(statement.promise, shown))
        for name, statement in statements
    ]


def _verify(name: str, data: bytes, trust: Trust, asked: Asked) -> Statement:
    try:
        return verify_file(data, trust, asked)
    except NotVerified as error:
        # The sentence with the file's name before it; what the error carries besides stays.
        error.args = (f"{name}: {error}",)
        raise
