"""The item files: which they are, and what they hash to."""

from __future__ import annotations

import glob
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ledger.domain.events import InputFile
from ledger.errors import InvalidInput, Unavailable

#: By the end of the name, a compressed one's without `.gz`.
FORMATS = {".parquet": "parquet", ".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl"}
#: Bytes of a file hashed at once.
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Items:
    """The files of one data set, all of one format, in the order they are read."""

    files: tuple[Path, ...]
    format: str

    def fingerprints(self, advance: Callable[[int], None] = lambda _: None) -> list[InputFile]:
        """Size and SHA-256 of each file, in the order of the digests; `advance` hears of each chunk's bytes."""
        return sorted((_fingerprint(path, advance) for path in self.files), key=lambda file: (file.sha256, file.bytes))

    def state(self) -> list[tuple[int, int]]:
        """Size and time of change of each file: they tell whether somebody wrote into one meanwhile."""
        states = [path.stat() for path in self.files]
        return [(state.st_size, state.st_mtime_ns) for state in states]

    def demand_state(self, state: list[tuple[int, int]]) -> None:
        """`Unavailable` unless the files are as they were in this state."""
        if self.state() != state:
            raise Unavailable(
                "expected item files that stay as they are, found one changed while it was read; try again"
            )


def find_items(named: tuple[str, ...]) -> Items:
    """The files that these paths, folders and patterns name."""
    files = [path for name in named for path in _files_of(name)]
    if len({path.resolve() for path in files}) != len(files):
        raise InvalidInput("expected each item file once, found one named twice; name it once")
    formats = {_format_of(path) for path in files}
    if len(formats) != 1:
        raise InvalidInput(f"expected item files of one format, found {', '.join(sorted(formats))}; filter them apart")
    return Items(tuple(files), formats.pop())


def _files_of(name: str) -> list[Path]:
    path = Path(name)
    try:
        if path.is_dir():
            found = sorted(inner for inner in path.iterdir() if _suffix(inner) in FORMATS)
        elif path.exists():
            found = [path]
        else:
            found = sorted(Path(match) for match in glob.glob(name))
    except OSError as error:
        raise Unavailable(f"expected items in {name}, found: {error.strerror}; check the path") from None
    if not found:
        raise Unavailable(f"expected items in {name}, found no file of {', '.join(FORMATS)}; check the path")
    for file in found:
        check_name(file)
    return found


def check_name(path: Path) -> None:
    """Refuses a name that is no text: the engine cannot open it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise InvalidInput(f"expected a path in UTF-8, found {str(path)!r}; rename it") from None


def _suffix(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix.lower()


def _format_of(path: Path) -> str:
    if _suffix(path) not in FORMATS:
        raise InvalidInput(f"expected items in a file of {', '.join(FORMATS)}, found {path.name}; convert it")
    return FORMATS[_suffix(path)]


def _fingerprint(path: Path, advance: Callable[[int], None]) -> InputFile:
    digest, size = hashlib.sha256(), 0
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
                size += len(chunk)
                advance(len(chunk))
    except OSError as error:
        raise Unavailable(f"expected to read {path}, found: {error.strerror}") from None
    return InputFile(bytes=size, sha256=digest.hexdigest())
