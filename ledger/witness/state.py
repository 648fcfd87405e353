"""What a witness remembers: the last checkpoint that it cosigned of each origin, a file each."""

from __future__ import annotations

import fcntl
import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger.errors import NotVerified, Unavailable
from ledger.files import PRIVATE, whole_file
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint


class WitnessState:
    """A folder of checkpoints. To ask and to keep is one step: nobody, of this process or another, comes between."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._threads = threading.Lock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        except OSError as error:
            raise Unavailable(
                f"expected to keep what was cosigned in {folder}, found: {error.strerror}; choose another folder"
            ) from None

    def close(self) -> None:
        os.close(self._lock)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Nobody else asks or keeps meanwhile."""
        with self._threads:
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._lock, fcntl.LOCK_UN)

    def latest(self, origin: str) -> Checkpoint | None:
        """The last checkpoint cosigned of this origin. A file that cannot be read is never taken for none."""
        path = self.path_of(origin)
        try:
            return parse_checkpoint(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError, NotVerified) as error:
            raise Unavailable(
                f"expected the last checkpoint of {origin} at {path}, found: {error}; "
                "a witness that forgot what it cosigned must retire its key"
            ) from None

    def keep(self, origin: str, text: str) -> None:
        """Keeps a checkpoint's text; it is durable when this returns."""
        with whole_file(self.path_of(origin), PRIVATE) as file:
            file.write(text.encode())

    def path_of(self, origin: str) -> Path:
        """An origin may hold what no file name does; its hash is also what the specification publishes it under."""
        return self._folder / hashlib.sha256(origin.encode()).hexdigest()
