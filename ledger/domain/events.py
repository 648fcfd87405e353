"""The events, one class a topic, as the `data` of an entry (FORMATS.md section 2)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from ledger.domain.names import MOST_NAMES, Free, Hex64, Name, Natural, Positive, TimeText
from ledger.domain.terms import Terms, Toggle, Toggles
from ledger.domain.times import parse_time

TermsPublished = Terms

Cause = Literal["person", "administrator", "migration"]


class TermsShown(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person saw the terms; `toggles` as they were displayed, `notice` the digest of the wording."""

    terms: Name
    notice: Hex64
    toggles: Toggles
    plan: Free
    surface: Free
    locale: Free


class Accepted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person clicked Accept; `toggles` as they stood then, `touched` those that the person operated."""

    terms: Name
    toggles: Toggles
    touched: Annotated[list[Name], Meta(max_length=MOST_NAMES)]
    plan: Free
    surface: Free

    def __post_init__(self) -> None:
        if self.touched != sorted(set(self.touched)):
            raise ValueError(f"expected `touched` sorted and without repeats, found {self.touched}")
        if not self.toggles.keys() >= set(self.touched):
            raise ValueError(f"expected every one of `touched` among `toggles`, found {self.touched}")


class ToggleChanged(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A toggle was set in the settings."""

    purpose: Name
    to: Toggle
    surface: Free
    cause: Cause
    plan: Free | UnsetType = UNSET


class DataUsedForTraining(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Items of one subject went into a run, under one grant (`basis`, a version of this stream)."""

    run: Name
    purpose: Name
    items: Annotated[dict[Name, Positive], Meta(min_length=1, max_length=MOST_NAMES)]
    collected_from: TimeText
    collected_until: TimeText
    manifest: Hex64
    attested: bool
    basis: Positive | UnsetType = UNSET

    def __post_init__(self) -> None:
        if parse_time(self.collected_from) > parse_time(self.collected_until):
            raise ValueError("expected `collected_from` at or before `collected_until`")
        if self.basis is UNSET and not self.attested:
            raise ValueError("expected a `basis`: only an attested use may lack one")


class SubjectErased(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    reason: Free


class InputFile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One item file: its size in bytes and its SHA-256."""

    bytes: Natural
    sha256: Hex64


class RunStarted(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A training run began; `cutoff` is the position its bulk decision started from."""

    purpose: Name
    kind: Name
    started_at: TimeText
    cutoff: Natural
    input: list[InputFile]
    parent: Name | UnsetType = UNSET

    def __post_init__(self) -> None:
        parse_time(self.started_at)
        digests = [file.sha256 for file in self.input]
        if digests != sorted(digests):
            raise ValueError("expected `input` in the order of the digests")


class RunFinished(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every use of the run is in the log: `uses` and `items` count them, `root` is over all of them."""

    uses: Natural
    items: Natural
    root: Hex64


class SubjectMapPublished(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of the subject map over the positions 1 to `covers`."""

    covers: Natural
    root: Hex64
    streams: Natural


Event = (
    TermsPublished
    | TermsShown
    | Accepted
    | ToggleChanged
    | DataUsedForTraining
    | SubjectErased
    | RunStarted
    | RunFinished
    | SubjectMapPublished
)
#: What may happen to a person, that is, stand in a subject's stream.
SubjectEvent = TermsShown | Accepted | ToggleChanged | DataUsedForTraining | SubjectErased
