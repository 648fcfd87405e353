"""Makes the tamper drills, one directory a case: `python -m tests.drills.make`. A test makes them again and compares.

Each begins with a log that is right, or with an operator's own wrong one, and damages one thing. A directory ends in
`_fail` where the verifier must refuse it; the others are the same without the damage, so that a refusal says something.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ledger.domain.entry import canonical

CASES = Path(__file__).with_name("cases")


@dataclass
class Case:
    """One drill: what is done to the file, how it is verified, and what must be said."""

    name: str
    why: str
    files: dict[str, bytes]
    #: After `consent verify`; files by their names in the directory.
    arguments: Sequence[str]
    says: str
    status: int = field(init=False)

    def __post_init__(self) -> None:
        self.status = 1 if self.name.endswith("_fail") else 0

    def write(self, folder: Path) -> None:
        place = folder / self.name
        place.mkdir()
        for name, data in self.files.items():
            (place / name).write_bytes(data)
        lines = [
            f"why = {_toml(self.why)}",
            f"arguments = [{', '.join(map(_toml, self.arguments))}]",
            f"status = {self.status}",
            f"says = {_toml(self.says)}",
        ]
        (place / "case.toml").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _toml(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def edited(data: bytes, edit: Callable[[Any], object]) -> bytes:
    """A JSON file after `edit` changed it in place, canonical again: whoever tampers takes that much care."""
    document = json.loads(data)
    edit(document)
    return canonical(document)


def make(folder: Path) -> None:
    """Writes every case below `folder`."""
    from tests.drills import bundles, notes

    cases = [*bundles.cases(), *notes.cases()]
    names = [case.name for case in cases]
    assert len(set(names)) == len(names), "two drills of one name"
    for case in cases:
        case.write(folder)


if __name__ == "__main__":
    shutil.rmtree(CASES, ignore_errors=True)
    CASES.mkdir()
    make(CASES)
