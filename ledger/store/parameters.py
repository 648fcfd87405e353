"""What the functions that append are called with: an array a column, over all appends of a batch."""

from __future__ import annotations

from collections.abc import Sequence

from ledger.store import arrays
from ledger.store.keys import Key
from ledger.store.waiting import Append


def parameters_of(appends: Sequence[Append]) -> dict[str, list[object]]:
    numbered = [(number, entry) for number, append in enumerate(appends) for entry in append.entries]
    keyed = [
        (number, append.first_version + key.entry, key) for number, append in enumerate(appends) for key in append.keys
    ]
    proven = [(number, evidence) for number, append in enumerate(appends) for evidence in append.evidence]
    return {
        "appends": [number for number, _ in numbered],
        "entries": [entry for _, entry in numbered],
        "key_appends": [number for number, _, _ in keyed],
        "key_versions": [version for _, version, _ in keyed],
        "keys": [key.key for _, _, key in keyed],
        "requests": [key.request for _, _, key in keyed],
        "fences": [key.fence for _, _, key in keyed],
        "evidence_appends": [number for number, _ in proven],
        "digests": [evidence.digest for _, evidence in proven],
        "salts": [evidence.salt for _, evidence in proven],
        "bodies": [evidence.body for _, evidence in proven],
    }


def arrays_of(appends: Sequence[Append]) -> dict[str, arrays.Array]:
    entries: list[bytes] = []
    keyed: list[int] = []
    keys: list[Key] = []
    for append in appends:
        keyed += [len(entries) + key.entry + 1 for key in append.keys]
        keys += append.keys
        entries += append.entries
    return {
        "entries": arrays.of_bytes(entries),
        "keyed": arrays.of_integers(keyed),
        "keys": arrays.of_bytes([key.key for key in keys]),
        "requests": arrays.of_bytes([key.request for key in keys]),
        "fences": arrays.of_booleans([key.fence for key in keys]),
    }
