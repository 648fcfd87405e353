"""What eventsourcing asks an application to be built from: our recorder, made already, and nothing by name."""

from __future__ import annotations

from typing import Any

from eventsourcing.persistence import InfrastructureFactory, ProcessRecorder

from ledger.store.recorder import LogRecorder


class Infrastructure(InfrastructureFactory):
    """The factory of one recorder; no class is looked up in the environment, and there are no snapshots."""

    def __init__(self, recorder: LogRecorder) -> None:
        super().__init__(None)
        self._recorder = recorder

    def application_recorder(self) -> LogRecorder:
        return self._recorder

    def aggregate_recorder(self, purpose: str = "events") -> LogRecorder:  # noqa: ARG002 - there is one log
        return self._recorder

    def tracking_recorder(self, tracking_recorder_class: Any = None) -> Any:
        raise NotImplementedError("projections keep their positions themselves")

    def process_recorder(self) -> ProcessRecorder:
        raise NotImplementedError("projections keep their positions themselves")
