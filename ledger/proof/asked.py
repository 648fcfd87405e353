"""What whoever verifies a file asks beside whether it holds: about whom, how fresh, and with which items."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger.domain.names import HEX32_PATTERN, HEX64_PATTERN, subject_stream
from ledger.domain.times import format_time
from ledger.errors import InvalidInput, NotVerified
from ledger.proof.manifests import ItemsOf
from ledger.proof.strict import shown

#: How far the ledger's clock may be ahead of the asker's (LATENESS of FORMATS.md section 1).
_AHEAD = timedelta(seconds=60)

_ID = re.compile(HEX32_PATTERN)
_KEY = re.compile(HEX64_PATTERN)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the asker wants to be told; nothing of it is taken from a file."""

    #: `id:` and 32 hex digits or `key:` and 64: the person that everything must be about.
    subject: str | None = None
    #: How old a history may be, and the clock to tell by: both or neither.
    max_age: timedelta | None = None
    now: datetime | None = None
    #: The items that the gate released, to make manifests again from.
    items_of: ItemsOf | None = None

    @property
    def stream(self) -> str | None:
        """The stream that the subject means."""
        return None if self.subject is None else stream_of(self.subject)

    def demand_stream(self, stream: str, what: str) -> None:
        """`NotVerified` where somebody else was asked for."""
        if self.stream not in (None, stream):
            raise NotVerified(f"expected {what} of stream {self.stream} ({self.subject}), found one of stream {stream}")

    def demand_fresh(self, complete_as_of: datetime) -> None:
        """By the map entry's time, within which a history is complete, and never by a signature's."""
        if self.max_age is None or self.now is None:
            return
        age = self.now - complete_as_of
        if age > self.max_age or age < -_AHEAD:
            raise NotVerified(
                f"expected a history complete as of at most {self.max_age} ago, found one as of "
                f"{format_time(complete_as_of)} while it is {format_time(self.now)}; ask for a new one"
            )


def stream_of(subject: str) -> str:
    """The stream of an id or a key; an identity leads to one only inside the ledger, so it is `InvalidInput`."""
    form, _, digits = subject.partition(":")
    if form == "id" and _ID.match(digits):
        return subject_stream(bytes.fromhex(digits))
    if form == "key" and _KEY.match(digits):
        return digits
    raise InvalidInput(
        f"expected id: and 32 hex digits, key: and 64, or the file of a receipt, found {shown(subject)}; "
        "an identity cannot be looked up without the ledger"
    )
