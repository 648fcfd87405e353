"""Subscriptions over HTTP, against a real server: the same rows as any other way, and nothing missed in a break."""

from __future__ import annotations

from ledger.application import ConsentLedger
from tests import builders as b
from tests.service.conftest import Served
from tests.service.following import all_events, following


def test_a_snapshot_then_nothing_then_changes(served: Served, ledger: ConsentLedger) -> None:
    b.grant(ledger, "ann", "bob")
    named = ledger.identity.id.hex()
    (kind, intent, token), *rows, (last_kind, last, last_id) = all_events(served, "current-consent")
    assert (kind, intent, token) == ("intent", {"intent": "snapshot", "token": f"{named}:0"}, f"{named}:0")
    assert [(kind, told["position"], id_) for kind, told, id_ in rows] == [
        ("row", 3, f"{named}:3"),
        ("row", 5, f"{named}:5"),
    ]
    assert (last_kind, last, last_id) == ("token", {"token": f"{named}:5"}, f"{named}:5")

    with following(served, "current-consent", last_id) as events:
        assert next(events)[1] == {"intent": "nothing", "token": last_id}
        assert next(events)[:2] == ("token", {"token": last_id})
        ledger.record("ann", b.toggled("off"))
        kind, told, id_ = next(event for event in events if event[0] == "row")
        assert (told["position"], told["row"]["toggle"], id_) == (6, "off", f"{named}:6")
        assert next(events) == ("token", {"token": id_}, id_)
        assert next(events) == ("token", {"token": id_}, id_)  # the heartbeat
