"""An audit that kills itself after so many commits: python -m tests.audit.dying_audit FOLDER STATE COMMITS."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from ledger.audit.state import State
from tests.audit.logs import KeptTiles, audited
from tests.audit.test_killed import BATCH


def main(folder: Path, state: Path, commits: int) -> None:
    left = commits
    commit = State.commit

    def dying(self: State) -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1
        commit(self)

    State.commit = dying  # type: ignore[method-assign]
    audited(KeptTiles(folder), state, batch=BATCH)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
