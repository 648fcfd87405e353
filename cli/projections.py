"""`consent projections`: the tables that are rebuilt from the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from cli.session import Session, to_json
from cli.types import NAME
from ledger.projections import PROJECTIONS
from ledger.projections.projection import Projection

if TYPE_CHECKING:
    from ledger.projections.rebuild import Difference, Verified
    from ledger.projections.runner import Runner
    from ledger.store.subscriptions import NamedSubscription

NAMES = click.argument("names", metavar="[NAME]...", nargs=-1, type=click.Choice(list(PROJECTIONS)))
DAY = click.DateTime(["%Y-%m-%d"])
VERIFIED, DIFFERS = 0, 1


@click.group()
def command() -> None:
    """List, rebuild, verify and add up the projections."""


@command.command(name="list")
@click.pass_obj
def list_(session: Session) -> None:
    """Each projection: where it stands, how far the log is ahead, and its rows; and each named subscription."""
    from ledger.store.database import unavailable_as_error
    from ledger.store.subscriptions import all_subscriptions

    with _runner(session) as runner:
        found = [_standing(runner, projection) for projection in PROJECTIONS.values()]
        with unavailable_as_error(runner.name):
            named = [_named(one, runner.head()) for one in all_subscriptions(runner.connection)]
    if session.as_json:
        session.lines([*found, *named])
        return
    session.table(["projection", "position", "head", "lag", "rows", "gone"], [list(one.values()) for one in found])
    if named:
        columns = ["subscription", "projection", "position", "head", "lag", "seen"]
        session.table(columns, [list(one.values()) for one in named])


def _named(one: NamedSubscription, head: int) -> dict[str, Any]:
    from ledger.domain.times import format_time

    return {
        "subscription": one.name,
        "projection": one.projection,
        "position": one.position,
        "head": head,
        "lag": head - one.position,
        "seen_at": format_time(one.seen),
    }


@command.command()
@click.argument("name", type=NAME)
@click.pass_obj
def forget(session: Session, name: str) -> None:
    """Forget where the named subscription NAME stands; who subscribes as it again begins with a snapshot."""
    from ledger.store.database import unavailable_as_error
    from ledger.store.subscriptions import forget_subscription

    with _runner(session) as runner, unavailable_as_error(runner.name):
        forget_subscription(runner.connection, name)
    session.result({"subscription": name}, f"{name}: forgotten")


def _standing(runner: Runner, projection: Projection) -> dict[str, Any]:
    from ledger.projections.tables import Tables, unusable_as_error

    tables = Tables(runner.connection, projection, projection.tables)
    with unusable_as_error(projection, runner.name):
        position, head = tables.position(), runner.head()
        rows, gone = (0, 0) if position is None else tables.count()
    behind = head - (position or 0)
    return {
        "projection": projection.name,
        "position": position or 0,
        "head": head,
        "lag": behind,
        "rows": rows,
        "gone": gone,
    }


@command.command()
@NAMES
@click.pass_obj
def rebuild(session: Session, names: tuple[str, ...]) -> None:
    """Make the tables of NAME anew, else of all, beside the live ones, and swap them."""
    from ledger.projections.rebuild import rebuild

    with _runner(session) as runner:
        for projection in _chosen(names):
            with session.progress(f"rebuilding {projection.name}", total=runner.head()) as progress:
                position = rebuild(runner, projection, progress.advance)
            session.result(
                {"projection": projection.name, "position": position},
                f"{projection.name}: rebuilt, at position {position}",
            )


@command.command()
@NAMES
@click.pass_obj
def verify(session: Session, names: tuple[str, ...]) -> int:
    """Bring NAME up to date, else all, make it anew beside, and compare all rows; 1 where any differ."""
    from ledger.projections.rebuild import verify

    answer = VERIFIED
    with _runner(session) as runner:
        for projection in _chosen(names):
            with session.progress(f"bringing {projection.name} up to date", total=None) as progress:
                runner.catch_up(projection, progress.advance)
                progress.now(f"verifying {projection.name}", total=runner.head())
                verified = verify(runner, projection, progress.advance)
            _show(session, projection, verified)
            if verified.differing:
                answer = DIFFERS
    return answer


def _show(session: Session, projection: Projection, verified: Verified) -> None:
    differ = f"{verified.differing} differ" if verified.differing else "all as the log says"
    session.result(
        {
            "projection": projection.name,
            "position": verified.position,
            "rows": verified.rows,
            "differing": verified.differing,
            "differences": [{"live": one.live, "rebuilt": one.rebuilt} for one in verified.named],
        },
        f"{projection.name}: {verified.rows} rows at position {verified.position}, {differ}",
    )
    if not verified.differing:
        return
    cells = [line for one in verified.named for line in _cells(one)]
    session.table([*projection.key, "column", "live", "from the log"], cells)
    first = f"the first {len(verified.named)} are named; " if verified.differing > len(verified.named) else ""
    session.remark(f"{first}`consent projections rebuild {projection.name}` makes the table anew")


def _cells(one: Difference) -> Iterator[list[Any]]:
    """A line for each column that differs; one for a row that only one side has."""
    key = list(one.key.values())
    if one.live is None or one.rebuilt is None:
        yield [*key, "", *("no such row" if side is None else "a row" for side in (one.live, one.rebuilt))]
        return
    for column, live in one.live.items():
        if live != one.rebuilt[column]:
            yield [*key, column, *(to_json({"": side})[4:-1] for side in (live, one.rebuilt[column]))]


def _chosen(names: tuple[str, ...]) -> list[Projection]:
    return [PROJECTIONS[name] for name in dict.fromkeys(names or PROJECTIONS)]


@command.command()
@click.option("--since", type=DAY, default="1970-01-01", show_default=True, help="The first day, in UTC.")
@click.option("--until", type=DAY, default="9999-12-31", show_default=True, help="The day after the last.")
@click.pass_obj
def adoption(session: Session, since: datetime, until: datetime) -> None:
    """Bring `adoption` up to date, and add it up by day, plan and surface.

    Somebody counts on the day they were first shown some terms (or accepted them without that), whenever they did the
    rest; those who are erased count no more. The median is of the seconds from the notice to the Accept.
    """
    import msgspec

    from ledger.projections.adoption import ADOPTION, AdoptionDay, per_day

    with _runner(session) as runner:
        with session.progress(f"bringing {ADOPTION.name} up to date", total=None) as progress:
            runner.catch_up(ADOPTION, progress.advance)
        days = [msgspec.to_builtins(one) for one in per_day(runner.connection, since.date(), until.date())]
    if session.as_json:
        session.lines(days)
        return
    session.table(
        [name.replace("_", " ") for name in AdoptionDay.__struct_fields__], [list(one.values()) for one in days]
    )


@contextmanager
def _runner(session: Session) -> Iterator[Runner]:
    from ledger.projections.runner import Runner

    with session.ledger() as ledger, Runner(ledger.url, ledger.place.name) as runner:
        yield runner
