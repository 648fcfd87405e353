"""A sequencer that kills itself, right after it has called a function so many times.

Arguments: URL, state folder, the function as `module.Class.name`, how many calls.
"""

from __future__ import annotations

import os
import pkgutil
import signal
import sys
from pathlib import Path
from typing import Any

from ledger.application import open_ledger
from ledger.sequencer import sequence
from ledger.settings import Place


def main() -> None:
    url, state, function, calls = sys.argv[1:]
    where, _, name = function.rpartition(".")
    owner = pkgutil.resolve_name(where)
    original, left = getattr(owner, name), [int(calls)]

    def and_die(*arguments: Any, **named: Any) -> Any:
        answer = original(*arguments, **named)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, and_die)
    with open_ledger(Place(url, None, Path(state))) as ledger:
        sequence(ledger)


if __name__ == "__main__":
    main()
