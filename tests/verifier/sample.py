"""The log that most tests of the page take a bundle from, and what is done to such a bundle."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from ledger.proof.policy import Trust, format_policy
from tests.proof.small_log import SUBJECT_ID, SmallLog, a_person
from tests.verifier.page import Answer

LOG = a_person()
TRUST = format_policy(LOG.policy)
ME = f"id:{SUBJECT_ID.hex()}"
#: A stream that the log does not have.
NOBODY = "5a" * 32
AUDITOR = LOG.auditor.verifier.name
WITNESS = LOG.witnesses[1].verifier.name

#: A bundle's JSON, in which something is to be changed.
Tamper = Callable[[dict[str, Any]], None]


def trust_in(log: SmallLog) -> str:
    return format_policy(log.policy)


def keys_of(trust: Trust) -> str:
    return "\n".join(key.text for key in (*trust.logs, *trust.receipts))


def demand_refusal(answer: Answer, check: str) -> None:
    """Red at just this check, in a sentence, and nothing of the history shown."""
    assert (answer.overall, answer.failed) == ("fails", check), answer
    assert answer.sentences[check].endswith("."), answer
    assert len(answer.sentences[check].split()) > 5, answer
    assert answer.uses == []
    assert "Nothing else that the file says should be believed." in answer.summary


def signature_line(bundle: dict[str, Any], name: str) -> str:
    lines: list[str] = bundle["checkpoint"].split("\n")
    return next(line for line in lines if line.startswith(f"\u2014 {name} "))


def without_signature(name: str) -> Tamper:
    def tamper(bundle: dict[str, Any]) -> None:
        bundle["checkpoint"] = bundle["checkpoint"].replace(signature_line(bundle, name) + "\n", "")

    return tamper


def damaged_signature(name: str) -> Tamper:
    """One bit of somebody's signature."""

    def tamper(bundle: dict[str, Any]) -> None:
        encoded = signature_line(bundle, name).split(" ")[2]
        bundle["checkpoint"] = bundle["checkpoint"].replace(encoded, flipped(encoded))

    return tamper


def flipped(text: str) -> str:
    """Base64 of bytes of which one bit is another."""
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()
