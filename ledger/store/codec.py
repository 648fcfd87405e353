"""Between entries and rows: the stored bytes are the entry, and no row names a class."""

from __future__ import annotations

from typing import cast

from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, StoredEvent

from ledger.domain.entry import Entry, decode_entry, encode_entry


class EntryMapper(Mapper[str]):
    """eventsourcing's mapper, for entries. It needs none of the parts that the original is made of."""

    def __init__(self) -> None:
        pass

    def to_stored_event(self, domain_event: DomainEventProtocol[str]) -> StoredEvent:
        entry = cast(Entry, domain_event)
        return StoredEvent(
            originator_id=entry.stream,
            originator_version=entry.version,
            topic=entry.event,
            state=encode_entry(entry),
        )

    def to_domain_event(self, stored_event: StoredEvent) -> DomainEventProtocol[str]:
        # An entry calls these two by the ledger's words: `stream`, `version`.
        return cast(DomainEventProtocol[str], decode_entry(stored_event.state))
