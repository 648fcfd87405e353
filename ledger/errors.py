"""One tree of errors. Each message is one sentence that says what was expected, what was found and what to do."""

from __future__ import annotations


class ConsentLedgerError(Exception):
    """The root of everything this package raises on purpose."""


class Refused(ConsentLedgerError):
    """The answer is no: the request was understood and must not be done. Exit status 1."""


class UnknownSubject(Refused):
    """Nobody of that name is in the ledger."""


class SubjectErased(Refused):
    """The person was erased; nothing more is recorded about them."""


class KeyReused(Refused):
    """The idempotency key already stands for another request."""


class NotVerified(Refused):
    """A proof, a signature or a file of proofs that does not hold, or is not one."""


class InvalidInput(ConsentLedgerError):
    """What was given cannot mean anything: wrong usage. Exit status 2."""


class InvalidEntry(InvalidInput):
    """Bytes that are not an entry of FORMATS.md, sections 1 and 2."""


class InvalidTerms(InvalidInput):
    """A document that is not terms (design, section 3)."""


class RunDiffers(InvalidInput):
    """A run of this name exists with another purpose, start, kind or input."""


class Unavailable(ConsentLedgerError):
    """The ledger, or an input, could not be used. Exit status 3."""


class LedgerMissing(Unavailable):
    """There is no ledger at that place; only `consent init` creates one."""


class Stale(Unavailable):
    """A replica knows the ledger as of longer ago than its caller allows, or not at all yet: ask again later."""


class OutcomeUnknown(Unavailable):
    """The connection was lost during a commit and the entry could not be looked up: ask again with the same key."""
