"""The ledger's keys, and the outside copy of its last checkpoint: files beside each other, outside every database.

`<state>/<ledger id>/keys/` holds `log-1.key`, after a rotation `log-2.key` and `rotation-2.note`, after a retirement
`log-1.retired` in the place of `log-1.key`, and `receipts.key` (FORMATS.md section 7). A key file is one line,
readable by its owner only. `<state>/<ledger id>/checkpoint-<key id>` is the last checkpoint that the key signed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import InvalidInput, Refused, Unavailable
from ledger.files import PRIVATE, sync, whole_file
from ledger.proof.note import (
    COSIGNATURE,
    ED25519,
    Note,
    SigningKey,
    VerifierKey,
    format_note,
    make_signing_key,
    parse_signing_key,
    parse_vkey,
    sign_note,
    signing_key_text,
)
from ledger.proof.rotation import Rotation

LOG_VARIABLE, RECEIPTS_VARIABLE = "CONSENT_LOG_KEY", "CONSENT_RECEIPTS_KEY"
SEED_BYTES = 32
#: A key file is one line, a copy of a checkpoint a note (FORMATS.md section 8); what is larger is neither.
_LARGEST_FILE = 1_048_576
_FOLDER_MODE = 0o700
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LOG_KEY = re.compile(r"\Alog-([1-9][0-9]{0,5})\.(key|retired)\Z")


@dataclass(frozen=True, slots=True)
class Keyring:
    """What signs for one origin: the active log keys, the oldest first; none of a role where its key is elsewhere."""

    origin: str
    log: tuple[SigningKey, ...]
    receipts: SigningKey | None
    retired: tuple[VerifierKey, ...]


def create_keys(state: Path, ledger_id: bytes, origin: str, environment: Mapping[str, str] = os.environ) -> None:
    """Makes the keys of a ledger, but those that the environment holds; where there is one of a role, none is made."""
    folder = keys_folder(state, ledger_id)
    receipts = folder / "receipts.key"
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        sync(folder.parent)
    except OSError as error:
        raise _unwritable(folder, error) from None
    if not environment.get(RECEIPTS_VARIABLE) and not receipts.exists():
        _write_key(receipts, new_key(receipts_name(origin)))
    if not environment.get(LOG_VARIABLE) and not _log_files(folder):
        _write_key(folder / "log-1.key", new_key(origin))


def new_key(name: str) -> SigningKey:
    """A new Ed25519 key of this name."""
    return make_signing_key(name, ED25519, os.urandom(SEED_BYTES))


def new_cosigner(name: str) -> SigningKey:
    """A new key of a witness or an auditor."""
    return make_signing_key(name, COSIGNATURE, os.urandom(SEED_BYTES))


def write_new_key(path: Path, key: SigningKey) -> None:
    """Keeps a new key in a file of its own; `Refused` where there is one: a key that was overwritten is lost."""
    if os.path.lexists(path):
        raise Refused(f"expected no file at {path} yet, found one; choose another name for the new key")
    _write_key(path, key)


def take_back(state: Path, ledger_id: bytes, key: SigningKey) -> None:
    """Puts the log key of a lost ledger into the place of the one made at `init`, which has signed nothing yet."""
    folder = keys_folder(state, ledger_id)
    if set(_log_files(folder)) - {1}:
        raise Refused(
            f"expected a ledger whose keys were just made, found a rotated one in {folder}; make a new ledger"
        )
    _write_key(folder / "log-1.key", key)


def read_keyring(state: Path, ledger_id: bytes, origin: str, environment: Mapping[str, str] = os.environ) -> Keyring:
    """The keys there are, of files or of the environment; `Unavailable` where others may read a file."""
    folder = keys_folder(state, ledger_id)
    files = _log_files(folder)
    retired = tuple(_read_retired(paths["retired"]) for paths in files.values() if "retired" in paths)
    if environment.get(LOG_VARIABLE):
        log = [_parse(text, LOG_VARIABLE) for text in environment[LOG_VARIABLE].split()]
    else:
        log = [read_key(paths["key"]) for paths in files.values() if "retired" not in paths]
    receipts = _read_receipts(folder, environment)
    keys = [*log, *([receipts] if receipts else [])]
    for key, name in zip(keys, [origin] * len(log) + [receipts_name(origin)], strict=False):
        if (key.verifier.name, key.verifier.type) != (name, ED25519):
            raise Unavailable(
                f"expected the Ed25519 key of {name}, found one of {key.verifier.name}; put this ledger's own there"
            )
    if len({key.verifier.public for key in keys}) < len(keys):
        raise Unavailable("expected a key for each role, found one key twice; every key has one role only")
    return Keyring(origin, tuple(log), receipts, retired)


def rotate(
    state: Path,
    ledger_id: bytes,
    ring: Keyring,
    new: SigningKey,
    size: int,
    environment: Mapping[str, str] = os.environ,
) -> tuple[Path, bytes]:
    """Keeps a second log key, which signs after a checkpoint of `size`; the rotation's note, signed by both."""
    folder = _demand_files(state, ledger_id, environment)
    number = max(_log_files(folder), default=0) + 1
    old = ring.log[-1]
    text = Rotation(ring.origin, old.verifier, new.verifier, size).text
    note = format_note(Note(text, (sign_note(text, old), sign_note(text, new))))
    path = folder / f"rotation-{number}.note"
    # The key last: once it is there it signs, and everybody must be able to learn why.
    with whole_file(path, PRIVATE) as file:
        file.write(note)
    _write_key(folder / f"log-{number}.key", new)
    return path, note


def retire(state: Path, ledger_id: bytes, environment: Mapping[str, str] = os.environ) -> VerifierKey:
    """Destroys the oldest active log key, and keeps the verifier key of it."""
    folder = _demand_files(state, ledger_id, environment)
    number, paths = next((n, paths) for n, paths in _log_files(folder).items() if "retired" not in paths)
    verifier = read_key(paths["key"]).verifier
    with whole_file(folder / f"log-{number}.retired", PRIVATE) as file:
        file.write(verifier.text.encode() + b"\n")
    destroy_retired(state, ledger_id)
    return verifier


def destroy_retired(state: Path, ledger_id: bytes) -> None:
    """Destroys what is left of the private part of retired keys, by whoever was killed while retiring one."""
    folder = keys_folder(state, ledger_id)
    for paths in _log_files(folder).values():
        if paths.keys() >= {"key", "retired"}:
            paths["key"].unlink(missing_ok=True)
            sync(folder)


def _demand_files(state: Path, ledger_id: bytes, environment: Mapping[str, str]) -> Path:
    if environment.get(LOG_VARIABLE):
        raise Refused(
            f"expected the log's keys in files, found {LOG_VARIABLE} set; change keys where they are files, and take "
            "the texts of those that stay into it, the newest last"
        )
    return keys_folder(state, ledger_id)


def read_outside(state: Path, ledger_id: bytes, origin: str, key: VerifierKey) -> bytes | None:
    """The last checkpoint that this key signed, as it was kept outside the database; None where there is no copy."""
    path = outside_path(state, ledger_id, origin, key)
    try:
        return _read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Unavailable(f"expected to read {path}, found: {error.strerror}; make it readable") from None


def write_outside(state: Path, ledger_id: bytes, origin: str, key: VerifierKey, note: bytes) -> None:
    """Keeps a checkpoint outside the database; durable before anybody hears of it."""
    with whole_file(outside_path(state, ledger_id, origin, key), PRIVATE) as file:
        file.write(note)


def outside_path(state: Path, ledger_id: bytes, origin: str, key: VerifierKey) -> Path:
    if key.name != origin:
        raise InvalidInput(f"expected a log key of {origin}, found one of {key.name}; only the log signs checkpoints")
    # The key's id is a hash of its name, which is the origin, and of the key: one file for each pair.
    return state / ledger_id.hex() / f"checkpoint-{key.id.hex()}"


def keys_folder(state: Path, ledger_id: bytes) -> Path:
    return state / ledger_id.hex() / "keys"


def receipts_name(origin: str) -> str:
    return f"{origin}/receipts"


def _log_files(folder: Path) -> dict[int, dict[str, Path]]:
    """The files of the log keys by number, rising, and by what they are, `key` or `retired`."""
    found: dict[int, dict[str, Path]] = {}
    try:
        names = sorted(os.listdir(folder))
    except FileNotFoundError:
        return found
    except OSError as error:
        raise Unavailable(f"expected to read the keys in {folder}, found: {error.strerror}; make it readable") from None
    for name in names:
        if match := _LOG_KEY.match(name):
            found.setdefault(int(match[1]), {})[match[2]] = folder / name
    return dict(sorted(found.items()))


def _read_receipts(folder: Path, environment: Mapping[str, str]) -> SigningKey | None:
    if text := environment.get(RECEIPTS_VARIABLE):
        return _parse(text.strip(), RECEIPTS_VARIABLE)
    path = folder / "receipts.key"
    return read_key(path) if path.exists() else None


def read_key(path: Path) -> SigningKey:
    """The private key in a file; `Unavailable` where others may read it, or it is none."""
    try:
        text = _read(path, is_secret=True).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Unavailable(f"expected to read the key {path}, found: {error}; restore the file") from None
    return _parse(text.removesuffix("\n"), str(path))


def _read_retired(path: Path) -> VerifierKey:
    try:
        return parse_vkey(_read(path).decode("utf-8").removesuffix("\n"))
    except (OSError, UnicodeDecodeError, InvalidInput) as error:
        raise Unavailable(f"expected a verifier key at {path}, found: {error}; restore the file") from None


def _parse(text: str, where: str) -> SigningKey:
    try:
        return parse_signing_key(text)
    except InvalidInput as error:
        raise Unavailable(f"expected a private key in {where}, found: {error}") from None


def _read(path: Path, *, is_secret: bool = False) -> bytes:
    """A whole small file; of a secret the mode is looked at first, on the file that is then read."""
    with path.open("rb") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if is_secret and mode & _OTHERS:
            raise Unavailable(
                f"expected {path} to be readable by its owner only, found mode {mode:04o}; set it to 0600, and rotate "
                "the key if others may have read it"
            )
        return file.read(_LARGEST_FILE)


def _write_key(path: Path, key: SigningKey) -> None:
    with whole_file(path, PRIVATE) as file:
        file.write(signing_key_text(key).encode() + b"\n")


def _unwritable(path: Path, error: OSError) -> Unavailable:
    return Unavailable(
        f"expected to keep the keys at {path}, found: {error.strerror}; "
        "set CONSENT_STATE to a folder that can be written"
    )
