"""Small files read no further than they may be long, and files that appear whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ledger.errors import Unavailable

#: What `open` gives a new file; the umask takes away from it.
_ORDINARY = 0o666
#: For what names people: nobody but its owner reads it.
PRIVATE = 0o600


def read_at_most(path: Path, most: int) -> bytes:
    """The bytes of a small file: one more than `most` where there are more, so that whoever reads them refuses them."""
    try:
        with path.open("rb") as file:
            return file.read(most + 1)
    except OSError as error:
        raise Unavailable(f"expected to read {path}, found: {error.strerror or error}; check its name") from None


@contextmanager
def whole_file(path: Path, mode: int = _ORDINARY) -> Iterator[BinaryIO]:
    """A file to write, which stands at `path` once the block is left; an exception leaves there what was there.

    It is written beside its place, and then renamed to it.
    """
    try:
        if path.exists() and not path.is_file():
            # A pipe or a device is written to: a rename would put a file into its place.
            with path.open("wb") as file:
                yield file
            return
        place = path.resolve()
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name[:100]}.", dir=place.parent)
    except OSError as error:
        raise _unwritable(path, error) from None
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode & ~_umask())
            os.fsync(file.fileno())
        temporary.rename(place)
        sync(place.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, BrokenPipeError):
            raise
        raise _unwritable(path, error) from None
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(f"expected to write {path}, found: {error.strerror or error}; choose another place")


def _umask() -> int:
    # There is no way to ask for it but to set it.
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def sync(path: Path) -> None:
    """Makes a file, or the names in a folder, durable: both are written at a time of their own."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
