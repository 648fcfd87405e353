"""Where the ledger is, and where its secrets lie: read from the environment once, at the edge (design, section 10)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DEFAULT_LEDGER = "./consent-ledger"
_URL_SCHEMES = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class Place:
    """Where one ledger is: `url` of a PostgreSQL database, or else `directory` of an embedded one."""

    url: str | None
    directory: Path | None
    #: Outside every database: the secret of erasure, and what must never be restored from a backup with it.
    state: Path

    @property
    def name(self) -> str:
        """How messages name it; a URL without its password."""
        if self.url is None:
            return str(self.directory)
        scheme, _, rest = self.url.partition("://")
        # The parameters after the `?` may hold a password too.
        return f"{scheme}://{rest.partition('?')[0].rpartition('@')[2]}"


def place_of(ledger: str | None, environment: Mapping[str, str] = os.environ) -> Place:
    """The place named by `--ledger`, else by `CONSENT_LEDGER`, else the default directory."""
    named = ledger or environment.get("CONSENT_LEDGER") or DEFAULT_LEDGER
    own_state = environment.get("CONSENT_STATE")
    if named.startswith(_URL_SCHEMES):
        home = Path(environment.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
        return Place(named, None, Path(own_state) if own_state else home / "consent-ledger")
    directory = Path(named)
    return Place(None, directory, Path(own_state) if own_state else directory / "state")
