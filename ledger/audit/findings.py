"""What an audit finds, each with its place and one sentence, and which of it keeps an auditor from cosigning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Damage = Literal[
    "position-missing",
    "entry-invalid",
    "version-wrong",
    "time-falls",
    "dated-back",
    "import-time",
    "occurred-differs",
    "map-covers",
    "map-root",
    "map-streams",
    "map-time",
    "checkpoint-invalid",
    "checkpoint-root",
    "checkpoint-beyond",
    "checkpoint-without-map",
]
Difference = Literal["tiles-differ", "map-differs", "projection-differs"]
Violation = Literal[
    "violation-known",
    "violation-in-hindsight",
    "run-differs",
    "run-finished-differs",
    "terms-republished",
    "terms-unpublished",
]
Remark = Literal["backdated-run", "backdated-use", "rests-on-import"]

#: The log is not right: what an auditor's cosignature says would be false (FORMATS.md section 7).
DAMAGE: frozenset[str] = frozenset(Damage.__args__)  # type: ignore[attr-defined]
#: What the operator keeps beside the entries and can make again from them is not as they say.
DIFFERENCES: frozenset[str] = frozenset(Difference.__args__)  # type: ignore[attr-defined]
#: The log is right, and shows that something was done which was not allowed.
VIOLATIONS: frozenset[str] = frozenset(Violation.__args__)  # type: ignore[attr-defined]
#: Worth knowing, and nothing wrong by itself.
REMARKS: frozenset[str] = frozenset(Remark.__args__)  # type: ignore[attr-defined]

Kind = Damage | Difference | Violation | Remark
#: Whom a finding stands for, so that it can be replaced when that is judged again: the log's entries never are.
Scope = Literal["log", "checkpoint", "kept", "stream", "run"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be, or that is worth knowing."""

    kind: Kind
    sentence: str
    position: int | None = None
    stream: str | None = None
    version: int | None = None
    #: What programs want to know besides.
    details: Mapping[str, Any] = field(default_factory=dict)
