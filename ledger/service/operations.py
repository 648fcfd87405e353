"""For those who run the service: is it alive, is it ready, what has it done, how far is everything behind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Response
from msgspec import Struct

from ledger.application import ConsentLedger
from ledger.errors import ConsentLedgerError
from ledger.service.forms import json_answer
from ledger.service.metrics import MEDIA_TYPE, Labels
from ledger.service.openapi import Answer, Operation, described
from ledger.service.problems import Problem
from ledger.service.serving import Public, Service, TheService, may
from ledger.service.tokens import Caller
from ledger.store.proofs import ProofTables
from ledger.store.statements import statement
from ledger.store.subscriptions import all_subscriptions

router = APIRouter()


class Alive(Struct, frozen=True, kw_only=True):
    """The process answers."""

    alive: bool


class Ready(Struct, frozen=True, kw_only=True):
    """The process can serve: its database answers, and what it runs beside the requests is alive."""

    ready: bool


@router.get("/healthz")
@described(Operation("alive", {200: Answer("It answers", Alive, example={"alive": True})}))
async def healthz(_: Public) -> Response:
    """Is the process alive? It asks nothing of the database."""
    return json_answer(Alive(alive=True))


@router.get("/readyz")
@described(Operation("ready", {200: Answer("It can serve", Ready, example={"ready": True})}))
async def readyz(_: Public, service: TheService) -> Response:
    """Can it serve? 503 where the database does not answer, or where the sequencer or the projections stopped."""
    stopped = sorted(name for name, is_alive in service.background.items() if not is_alive())
    if stopped:
        raise Problem(503, "stopped", f"expected all of the service at work, found stopped: {', '.join(stopped)}")
    await service.quick.run(service.ledger.recorder.head)
    return json_answer(Ready(ready=True))


@router.get("/metrics")
@described(
    Operation(
        "metrics",
        {
            200: Answer(
                "The text format of Prometheus",
                media_type=MEDIA_TYPE,
                schema={"type": "string"},
                example='consent_appends_total{event="accepted"} 7\n',
            )
        },
        scopes=("read",),
    )
)
async def metrics(_: Annotated[Caller, Depends(may("read"))], service: TheService) -> Response:
    """Requests, appends, conflicts, verdicts by reason, subscribers, and how far everything is behind the log."""
    gauges = {"consent_up": ("1 while it works, by what it runs beside the requests", _background(service))}
    try:
        gauges |= await service.quick.run(lags, service.ledger)
    except ConsentLedgerError:
        gauges["consent_database_up"] = ("whether the database answers", {(): 0.0})
    return Response(service.metrics.text(gauges), media_type=MEDIA_TYPE)


def _background(service: Service) -> Mapping[Labels, float]:
    return {(("part", name),): float(is_alive()) for name, is_alive in sorted(service.background.items())}


def lags(ledger: ConsentLedger) -> dict[str, tuple[str, Mapping[Labels, float]]]:
    """How far the projections and the checkpoint are behind the log, as gauges."""
    head = ledger.recorder.head()
    with ledger.connection() as connection:
        positions = connection.execute(statement("doctor_projections")).fetchall()
        last = ProofTables(connection).last_checkpoint()
        named = all_subscriptions(connection)
    projections: dict[Labels, float] = {
        (("projection", tables.removeprefix("projection_").replace("_", "-")),): float(max(0, head - position))
        for tables, position in positions
    }
    behind: dict[Labels, float] = {
        (("subscription", one.name), ("projection", one.projection)): float(max(0, head - one.position))
        for one in named
    }
    covered = 0 if last is None else last.size
    return {
        "consent_database_up": ("whether the database answers", {(): 1.0}),
        "consent_log_position": ("the highest position of the log", {(): float(head)}),
        "consent_projection_lag": ("entries that a projection has yet to apply", projections),
        "consent_subscription_lag": ("entries that a named subscription has yet to take in", behind),
        "consent_checkpoint_lag": (
            "entries that no checkpoint covers yet",
            {(): float(max(0, head - covered))},
        ),
    }
