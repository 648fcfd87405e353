"""Named subscriptions: how far each says that it has come (migrations, 0007)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ledger.errors import Refused
from ledger.store.database import Connection
from ledger.store.statements import statement

#: A name is a service or a table somewhere; what makes more of them has mistaken a name for a connection.
MOST_SUBSCRIPTIONS = 1_000
#: Of those that are alike up to the first dot, as one service's are over HTTP: it leaves room to others.
MOST_OF_A_SERVICE = 100


@dataclass(frozen=True, slots=True)
class NamedSubscription:
    """What a name has come to, and when it last said so."""

    name: str
    projection: str
    position: int
    seen: datetime


def find_subscription(connection: Connection, name: str, projection: str) -> NamedSubscription | None:
    """Where the name stands, None where it is new; `Refused` where it is another projection's."""
    row = connection.execute(statement("select_subscription"), {"name": name}).fetchone()
    if row is None:
        return None
    found = NamedSubscription(*row)
    if found.projection != projection:
        raise Refused(
            f"expected a name of {projection}, found {name}, which follows {found.projection}; take another name, "
            f"or forget this one with `consent projections forget {name}`"
        )
    return found


def acknowledge(connection: Connection, name: str, projection: str, position: int) -> NamedSubscription:
    """The name has every row up to there. It may go back: whoever lost rows reads them again."""
    parameters = {
        "name": name,
        "projection": projection,
        "position": position,
        "most": MOST_SUBSCRIPTIONS,
        "most_of_a_service": MOST_OF_A_SERVICE,
    }
    row = connection.execute(statement("write_subscription"), parameters).fetchone()
    if row is not None:
        return NamedSubscription(*row)
    find_subscription(connection, name, projection)
    raise Refused(
        f"expected at most {MOST_SUBSCRIPTIONS} named subscriptions, and {MOST_OF_A_SERVICE} that are alike up to the "
        "first dot, found as many; forget those that nobody needs with `consent projections forget NAME`"
    )


def all_subscriptions(connection: Connection) -> list[NamedSubscription]:
    """Every name, by projection."""
    return [NamedSubscription(*row) for row in connection.execute(statement("select_subscriptions"))]


def forget_subscription(connection: Connection, name: str) -> None:
    """The name stands nowhere any longer; `Refused` where it did not."""
    if connection.execute(statement("delete_subscription"), {"name": name}).rowcount == 0:
        raise Refused(
            f"expected the name of a subscription, found {name}, which is none; see `consent projections list`"
        )
