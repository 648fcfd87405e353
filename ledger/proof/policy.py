"""Whom to trust: pinned keys, and whether they vouch for a checkpoint (C2SP tlog-policy; FORMATS.md section 7).

A text that cannot be read is wrong usage (`InvalidInput`). Keys that can be read and must not be trusted together (one
key in two roles, one witness under two names) are refused (`NotVerified`), as is a checkpoint they do not vouch for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.cosignature import AUDITOR_SUFFIX, verify_cosignature
from ledger.proof.note import COSIGNATURE, ED25519, Note, VerifierKey, parse_note, parse_vkey, verify_note
from ledger.proof.strict import parse_decimal, shown

#: A log's second key, which signs promises, is named by its origin and this.
RECEIPTS_SUFFIX = "/receipts"

#: What a policy says instead of a name where nobody needs to cosign.
_NOBODY = "none"
#: What may stand in a policy beside its lines' ends: everything but control characters; a tab is a space.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses, or groups of them, of which `threshold` must vouch."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trust:
    """The keys that a person pinned, each in its one role, and who of them must vouch."""

    logs: tuple[VerifierKey, ...]
    #: The keys of promises, named `<origin>/receipts`.
    receipts: tuple[VerifierKey, ...] = ()
    #: Witnesses and auditors by the names that groups and the quorum call them.
    witnesses: Mapping[str, VerifierKey] = field(default_factory=dict)
    #: In the order of the file: a group's members stand before it.
    groups: Mapping[str, Group] = field(default_factory=dict)
    #: The witness or group that must vouch; None where nobody must.
    quorum: str | None = None
    #: Where a witness takes checkpoints, by its name in `witnesses`.
    urls: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for keys, kind, what in (
            (self.logs, ED25519, "a log"),
            (self.receipts, ED25519, "receipts"),
            (self.witnesses.values(), COSIGNATURE, "a witness"),
        ):
            for key in keys:
                _check_role(key, kind, what)
        seen: dict[bytes, VerifierKey] = {}
        ids: set[tuple[str, bytes]] = set()
        for key in (*self.logs, *self.receipts, *self.witnesses.values()):
            if key.public in seen:
                raise NotVerified(
                    f"expected each public key once, in one role, found that of {seen[key.public].name} as {key.name} "
                    "too: it would count twice; name it once"
                )
            if (key.name, key.id) in ids:  # then no signature line tells which of the two it means
                raise NotVerified(f"expected keys of different ids, found two called {key.name} with {key.id.hex()}")
            seen[key.public] = key
            ids.add((key.name, key.id))

    @property
    def cosigners(self) -> tuple[VerifierKey, ...]:
        """The witnesses and the auditors."""
        return tuple(self.witnesses.values())

    def reached(self, cosigners: Iterable[VerifierKey]) -> bool:
        """Whether the quorum is there when these have cosigned; each counts once, by its public key."""
        publics = {key.public for key in cosigners}
        vouching = {name for name, key in self.witnesses.items() if key.public in publics}
        for name, group in self.groups.items():
            if len(vouching.intersection(group.members)) >= group.threshold:
                vouching.add(name)
        return self.quorum is None or self.quorum in vouching


def is_auditor(key: VerifierKey) -> bool:
    """Whether a cosignature by this key says that the whole log was replayed and is right."""
    return key.type == COSIGNATURE and key.name.endswith(AUDITOR_SUFFIX)


def _check_role(key: VerifierKey, kind: int, what: str) -> None:
    if key.type != kind:
        raise NotVerified(f"expected a key of type {kind} for {what}, found {key.text} of type {key.type}")
    if kind == ED25519 and key.name.endswith(AUDITOR_SUFFIX):
        raise NotVerified(f"expected a key for cosignatures of an auditor, found {key.text} of type {key.type}")
    if key.name.endswith(RECEIPTS_SUFFIX) != (what == "receipts"):
        raise NotVerified(f"expected the key of {what}, found {key.text}, named for another role")


def trust_of_keys(keys: Sequence[VerifierKey]) -> Trust:
    """The trust in bare keys: of logs, and of receipts where they are named so. Nobody else vouches."""
    for key in keys:
        if key.type == COSIGNATURE:
            raise NotVerified(
                f"expected the key of a log or of its receipts, found {key.text}, which cosigns; "
                "name witnesses and auditors in a policy file, with the quorum that they make"
            )
    return Trust(*_by_role(list(dict.fromkeys(keys))))


def _by_role(keys: Sequence[VerifierKey]) -> tuple[tuple[VerifierKey, ...], tuple[VerifierKey, ...]]:
    """The keys of logs, and those of receipts."""
    receipts = tuple(key for key in keys if key.name.endswith(RECEIPTS_SUFFIX))
    return tuple(key for key in keys if key not in receipts), receipts


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint that a trust vouches for, and who signed it."""

    checkpoint: Checkpoint
    note: Note
    log_keys: tuple[VerifierKey, ...]
    #: Of the witnesses and auditors of the trust those who cosigned, with the time of each, in seconds since 1970.
    cosigned: Mapping[VerifierKey, int]
    #: Whether the trust demands a quorum, which then was there.
    vouched: bool

    @property
    def caveat(self) -> str | None:
        """What the signatures leave open; None where an auditor cosigned."""
        if not self.cosigned:
            return "no witness and no auditor vouches for this checkpoint: somebody else may be shown another log"
        if not any(is_auditor(key) for key in self.cosigned):
            return "no auditor vouches for this checkpoint: that its map leaves nothing out is the operator's word"
        return None


def open_checkpoint(data: bytes, trust: Trust) -> Opened:
    """The checkpoint of a signed note; `NotVerified` unless a log key of its origin signed it and the quorum is there.

    A known key whose signature is bad, or that signs outside its role, rejects the whole.
    """
    note = parse_note(data)
    checkpoint = parse_checkpoint(note.text)
    own = [key for key in trust.logs if key.name == checkpoint.origin]
    others = [key for key in (*trust.logs, *trust.receipts) if key.name != checkpoint.origin]
    log_keys = signers(note, checkpoint.origin, own, others)
    found = note.first_signatures()
    cosigned = {
        key: verify_cosignature(note.text, found[key.name, key.id], key)
        for key in trust.cosigners
        if (key.name, key.id) in found
    }
    if not trust.reached(cosigned):
        names = ", ".join(key.name for key in cosigned) or "nobody"
        raise NotVerified(
            f"expected the cosignatures of the quorum {trust.quorum} on the checkpoint of size {checkpoint.size}, "
            f"found those of {names}; ask for a checkpoint that has them"
        )
    return Opened(checkpoint, note, log_keys, cosigned, trust.quorum is not None)


def signers(
    note: Note, name: str, own: Sequence[VerifierKey], others: Iterable[VerifierKey]
) -> tuple[VerifierKey, ...]:
    """Which keys of that `name`, its `own`, signed the note: one at least, and none of the `others`, of other roles."""
    found = note.first_signatures()
    for key in others:
        if (key.name, key.id) in found:
            raise NotVerified(f"expected the key {name} under its note, found {key.name}, a key with another role")
    if not any((key.name, key.id) in found for key in own):
        have = ", ".join(key.text for key in own) or "no such key"
        by = ", ".join(sorted({one.name for one in note.signatures}))
        raise NotVerified(
            f"expected a signature by {name} under a key that you trust ({have}), found others, by {shown(by)}"
        )
    return verify_note(note, own)


def parse_policy(text: str) -> Trust:
    """The trust that a policy file states; `InvalidInput` names the first line that means nothing."""
    forbidden = _FORBIDDEN.search(text)
    if forbidden is not None:
        raise InvalidInput(f"expected a policy without control characters, found U+{ord(forbidden.group()):04X} in it")
    reading = _Reading()
    for number, line in enumerate(text.split("\n"), 1):
        words = [word for word in re.split(r"[ \t]+", line) if word]
        if not words or words[0].startswith("#"):
            continue
        try:
            reading.take(words)
        except InvalidInput as error:
            raise InvalidInput(f"line {number} of the policy: {error}") from None
    return reading.trust()


def format_policy(trust: Trust) -> str:
    """The policy file of a trust; inverse of `parse_policy`."""
    lines = [f"log {key.text}" for key in (*trust.logs, *trust.receipts)]
    for name, key in trust.witnesses.items():
        lines.append(" ".join(["witness", name, key.text, *([trust.urls[name]] if name in trust.urls else [])]))
    for name, group in trust.groups.items():
        lines.append(f"group {name} {group.threshold} {' '.join(group.members)}")
    lines.append(f"quorum {trust.quorum or _NOBODY}")
    return "\n".join(lines) + "\n"


class _Reading:
    """A policy as far as its lines were read."""

    def __init__(self) -> None:
        self._logs: list[VerifierKey] = []
        self._witnesses: dict[str, VerifierKey] = {}
        self._groups: dict[str, Group] = {}
        self._urls: dict[str, str] = {}
        self._members: set[str] = set()
        self._quorum: str | None = None

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self._logs.append(parse_vkey(vkey))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._new(name)
                self._witnesses[name] = parse_vkey(vkey)
                self._urls.update((name, where) for where in url)
            case ["group", name, threshold, *members] if members:
                self._new(name)
                self._groups[name] = Group(_threshold(threshold, len(members)), tuple(members))
                for member in members:
                    self._join(name, member)
            case ["quorum", name] if self._quorum is None:
                if name != _NOBODY:
                    self._known(name)
                self._quorum = name
            case ["quorum", _]:
                raise InvalidInput("expected one quorum, found a second; keep one")
            case _:
                raise InvalidInput(
                    "expected `log <vkey> [url]`, `witness <name> <vkey> [url]`, `group <name> <all|any|k> <member>…` "
                    f"or `quorum <name|none>`, found {shown(' '.join(words))}"
                )

    def trust(self) -> Trust:
        if self._quorum is None:
            raise InvalidInput("expected a line `quorum <name>` or `quorum none` in the policy, found neither; add one")
        quorum = None if self._quorum == _NOBODY else self._quorum
        return Trust(*_by_role(self._logs), self._witnesses, self._groups, quorum, self._urls)

    def _new(self, name: str) -> None:
        if name == _NOBODY or name in self._witnesses or name in self._groups:
            raise InvalidInput(f"expected a new name, found {shown(name)}, which means something already; take another")

    def _known(self, name: str) -> None:
        if name not in self._witnesses and name not in self._groups:
            raise InvalidInput(f"expected a witness or group of a line above, found {shown(name)}")

    def _join(self, group: str, member: str) -> None:
        if member == group:
            raise InvalidInput(f"expected a witness or group of a line above, found {shown(member)}")
        self._known(member)
        if member in self._members:
            raise InvalidInput(
                f"expected each name in one group, once, found {shown(member)} again: it would count twice"
            )
        self._members.add(member)


def _threshold(text: str, members: int) -> int:
    if text in ("all", "any"):
        return members if text == "all" else 1
    try:
        threshold = parse_decimal(text, "how many must vouch")
    except NotVerified as error:
        raise InvalidInput(f"{error}; or write all or any") from None
    if not 1 <= threshold <= members:
        raise InvalidInput(f"expected 1 to {members} of {members} members, found {threshold}")
    return threshold
