"""Drills on checkpoints, proofs of one entry, receipts and trust files."""

from __future__ import annotations

from collections.abc import Iterator

from ledger.proof.cosignature import cosign
from ledger.proof.note import (
    COSIGNATURE,
    ED25519,
    Note,
    Signature,
    SigningKey,
    VerifierKey,
    format_note,
    make_signing_key,
    parse_note,
    sign_note,
)
from ledger.proof.policy import format_policy
from ledger.proof.tlog_proof import TlogProof, format_tlog_proof
from tests.domain import given
from tests.drills.bundles import POLICY
from tests.drills.make import Case, edited
from tests.proof.small_log import OTHER, SUBJECT, SmallLog, a_person

LOG = a_person()
CHECKPOINT = LOG.checkpoint()
TEXT = parse_note(CHECKPOINT).text
LOG_KEY, RECEIPTS_KEY = LOG.log_key, LOG.receipts_key
WITNESSES = (*LOG.witnesses, LOG.auditor)


def cases() -> Iterator[Case]:
    yield from _checkpoints()
    yield from _trust()
    yield from _entries()
    yield from _receipts()
    yield from _histories()


def _checkpoint(name: str, why: str, data: bytes, says: str, policy: bytes = POLICY) -> Case:
    return Case(
        name, why, {"checkpoint.txt": data, "policy.txt": policy}, ("checkpoint.txt", "--policy", "policy.txt"), says
    )


def _signed(text: str) -> bytes:
    """Any text, signed by everybody: what stands in it is the operator's own doing."""
    signatures = (sign_note(text, LOG_KEY), *(cosign(text, key, 1_760_000_000) for key in WITNESSES))
    return b"".join([text.encode(), b"\n", *(_line(signature) for signature in signatures)])


def _line(signature: Signature) -> bytes:
    return format_note(Note("x\n", (signature,))).removeprefix(b"x\n\n")


def _damaged(key: SigningKey) -> bytes:
    """The checkpoint with one bit of this key's signature turned."""
    note = parse_note(CHECKPOINT)
    signatures = tuple(
        Signature(one.name, one.key_id, one.blob[:-1] + bytes([one.blob[-1] ^ 1]))
        if (one.name, one.key_id) == (key.verifier.name, key.verifier.id)
        else one
        for one in note.signatures
    )
    assert signatures != note.signatures
    return format_note(Note(note.text, signatures))


def _checkpoints() -> Iterator[Case]:
    yield _checkpoint("checkpoint", "a checkpoint under the signatures of everybody", CHECKPOINT, "size 8")
    for name, why, data, says in [
        (
            "log_signature_damaged",
            "a known key's signature that does not fit",
            _damaged(LOG_KEY),
            "expected a good signature by consent.example/log1",
        ),
        (
            "witness_signature_damaged",
            "a known witness's signature that does not fit",
            _damaged(LOG.witnesses[0]),
            "expected a good signature by witness1.example",
        ),
        (
            "auditor_signature_damaged",
            "the auditor's signature that does not fit",
            _damaged(LOG.auditor),
            "expected a good signature by auditor.example",
        ),
        ("extension_line", "a line after the root, signed", _signed(TEXT + "map abc\n"), "without extension lines"),
        (
            "size_octal",
            "a size with a leading zero, signed",
            _signed(TEXT.replace("\n8\n", "\n0362\n")),
            "without leading zeros, found '0362'",
        ),
        (
            "size_signed",
            "a size with a sign, signed",
            _signed(TEXT.replace("\n8\n", "\n+8\n")),
            "without leading zeros, found '+8'",
        ),
        (
            "size_other",
            "another size over the same root",
            CHECKPOINT.replace(b"\n8\n", b"\n9\n", 1),
            "expected a good signature by",
        ),
        (
            "root_unpadded",
            "a root in base64 without its padding, signed",
            _signed(TEXT.replace("=\n", "\n")),
            "root in base64",
        ),
        (
            "root_not_canonical",
            "a root in base64 with bits left over, signed",
            _signed(_with_bits_left_over(TEXT)),
            "in canonical base64",
        ),
        (
            "signature_not_canonical",
            "a signature in base64 with white space",
            CHECKPOINT.replace(b"=\n", b"= \n"),
            "in canonical base64",
        ),
        (
            "line_ends",
            "carriage returns, as some programs write them",
            CHECKPOINT.replace(b"\n", b"\r\n"),
            "found U+000D",
        ),
        (
            "origin_other",
            "another log's name",
            CHECKPOINT.replace(b"example/log1\n", b"example/log2\n", 1),
            "a key with another role",
        ),
        (
            "hyphen_for_dash",
            "signature lines with a hyphen",
            CHECKPOINT.replace("\N{EM DASH}".encode(), b"-"),
            "expected a signature line",
        ),
        ("no_signature", "a text without signatures", TEXT.encode() + b"\n", "expected a file of proofs"),
        (
            "signatures_101",
            "more signatures than a note may have",
            CHECKPOINT + _line(_stranger_signature()) * 101,
            "at most 100 signatures",
        ),
    ]:
        yield _checkpoint(f"{name}_fail", why, data, says)
    crowded = CHECKPOINT + _line(_stranger_signature()) * 20
    yield _checkpoint("unknown_signatures", "signatures by keys that nobody named are passed over", crowded, "size 8")


def _with_bits_left_over(text: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    before, last = text.removesuffix("=\n")[:-1], text.removesuffix("=\n")[-1]
    return before + alphabet[alphabet.index(last) | 1] + "=\n"


def _stranger_signature() -> Signature:
    return sign_note(TEXT, make_signing_key("stranger.example", ED25519, bytes([99] * 32)))


def _policy(*lines: str) -> bytes:
    return "\n".join([*lines, ""]).encode()


def _trust() -> Iterator[Case]:
    log, first, second, auditor = (key.verifier.text for key in (LOG_KEY, *WITNESSES))
    witness = LOG.witnesses[0].verifier
    other_name = VerifierKey("witness3.example", witness.type, witness.public).text
    as_witness = VerifierKey("witness3.example", COSIGNATURE, LOG_KEY.verifier.public).text
    impostor = make_signing_key(LOG.origin, ED25519, bytes([77] * 32)).verifier.text
    absent = make_signing_key("witness4.example", COSIGNATURE, bytes([78] * 32)).verifier.text
    for name, why, policy, says in [
        (
            "witness_counted_twice",
            "one witness's public key under two names, for a quorum of two",
            _policy(f"log {log}", f"witness a {first}", f"witness b {other_name}", "group both all a b", "quorum both"),
            "it would count twice",
        ),
        (
            "log_key_as_witness",
            "the log vouching for itself",
            _policy(f"log {log}", f"witness a {as_witness}", "quorum a"),
            "expected each public key once, in one role",
        ),
        (
            "witness_key_as_log",
            "a witness's key where the log's belongs",
            _policy(f"log {first}", "quorum none"),
            "expected a key of type 1 for a log",
        ),
        (
            "receipts_key_alone",
            "the receipts key signs no checkpoints",
            _policy(f"log {RECEIPTS_KEY.verifier.text}", "quorum none"),
            "under a key that you trust",
        ),
        (
            "another_key_of_the_origin",
            "a key of the same name",
            _policy(f"log {impostor}", "quorum none"),
            "under a key that you trust",
        ),
        (
            "witness_missing",
            "a quorum of three witnesses of whom two cosigned",
            _policy(
                f"log {log}",
                f"witness a {first}",
                f"witness b {second}",
                f"witness c {absent}",
                "group three all a b c",
                "quorum three",
            ),
            "expected the cosignatures of the quorum three",
        ),
    ]:
        yield _checkpoint(f"{name}_fail", why, CHECKPOINT, says, policy)
    two_of_three = _policy(
        f"log {log}",
        f"witness a {first}",
        f"witness b {second}",
        f"witness c {absent}",
        f"witness d {auditor}",
        "group witnesses 2 a b c",
        "group all-of-it all witnesses d",
        "quorum all-of-it",
    )
    yield _checkpoint(
        "quorum_two_of_three", "two of three witnesses, and the auditor", CHECKPOINT, "size 8", two_of_three
    )


def _entries() -> Iterator[Case]:
    good = TlogProof(6, LOG.path(7), LOG.entries[6], CHECKPOINT)
    arguments = ("entry.tlog-proof", "--policy", "policy.txt")

    def case(name: str, why: str, proof: bytes, says: str) -> Case:
        return Case(name, why, {"entry.tlog-proof": proof, "policy.txt": POLICY}, arguments, says)

    yield case("entry", "the withdrawal is in the log", format_tlog_proof(good), "position 7")
    on = LOG.entries[6].replace(b'"off"', b'"on"')
    text = format_tlog_proof(good)
    for name, why, proof, says in [
        (
            "entry_edited",
            "an On where the log has an Off",
            format_tlog_proof(TlogProof(6, good.path, on, CHECKPOINT)),
            "the proof, the entry or the root was changed",
        ),
        (
            "entry_elsewhere",
            "the entry at another place",
            format_tlog_proof(TlogProof(5, good.path, good.extra, CHECKPOINT)),
            "the proof, the entry or the root was changed",
        ),
        (
            "entry_beyond",
            "an index that the log has not",
            format_tlog_proof(TlogProof(8, good.path, good.extra, CHECKPOINT)),
            "expected an index below the tree's size",
        ),
        (
            "entry_left_out",
            "no entry to hash",
            format_tlog_proof(TlogProof(6, good.path, None, CHECKPOINT)),
            "expected the entry's bytes",
        ),
        (
            "entry_hash_missing",
            "a path too short",
            format_tlog_proof(TlogProof(6, good.path[:-1], good.extra, CHECKPOINT)),
            "expected a whole path",
        ),
        (
            "entry_hash_surplus",
            "a path too long",
            format_tlog_proof(TlogProof(6, (*good.path, bytes(32)), good.extra, CHECKPOINT)),
            "expected no more hashes",
        ),
        (
            "entry_index_octal",
            "an index with a leading zero",
            text.replace(b"index 6", b"index 06"),
            "without leading zeros, found '06'",
        ),
        ("entry_line_ends", "carriage returns", text.replace(b"\n", b"\r\n"), "found U+000D"),
        (
            "entry_of_another_log",
            "another log's proof",
            _another_log().tlog_proof(7),
            "expected a signature by other.example/log",
        ),
    ]:
        yield case(f"{name}_fail", why, proof, says)


def _another_log() -> SmallLog:
    log = SmallLog("other.example/log", seed=40).terms()
    for stored in LOG.entries[1:]:
        log.append_bytes(stored)
    return log


def _receipts() -> Iterator[Case]:
    receipt = LOG.receipt(7)
    proof = LOG.tlog_proof(7)
    kept = {"receipt.json": receipt, "entry.tlog-proof": proof, "policy.txt": POLICY}
    arguments = ("receipt.json", "entry.tlog-proof", "--policy", "policy.txt")
    yield Case("receipt_kept", "a promise, and the proof that it was kept", kept, arguments, "kept")
    yield Case(
        "receipt_open",
        "a promise alone",
        {"receipt.json": receipt, "policy.txt": POLICY},
        ("receipt.json", "--policy", "policy.txt"),
        "open",
    )

    destroyed = SmallLog().terms()
    for stored in LOG.entries[1:6]:
        destroyed.append_bytes(stored)
    destroyed.append(OTHER, given.accepted(), "8")
    destroyed.publish("9")
    why = "the entry was destroyed before a checkpoint covered it, and another stands in its place"
    yield Case("receipt_broken_fail", why, {**kept, "entry.tlog-proof": destroyed.tlog_proof(7)}, arguments, "broken")
    yield Case(
        "receipt_broken_bundle_fail",
        "the person's own bundle lacks the entry",
        {"receipt.json": receipt, "bundle.json": destroyed.bundle_file(), "policy.txt": POLICY},
        ("receipt.json", "bundle.json", "--policy", "policy.txt", "--subject", f"key:{SUBJECT}"),
        "broken",
    )
    edited_entry = edited(receipt, lambda d: d["entry"]["data"].update(to="on"))
    yield Case(
        "receipt_edited_fail",
        "another entry under the promise",
        {**kept, "receipt.json": edited_entry},
        arguments,
        "about another leaf hash",
    )
    text = parse_note(_promise_of(receipt)).text
    by_log = format_note(Note(text, (sign_note(text, LOG_KEY),))).decode()
    other_role = edited(receipt, lambda d: d.update(promise=by_log))
    yield Case(
        "receipt_by_log_key_fail",
        "the log's key in the role of another",
        {**kept, "receipt.json": other_role},
        arguments,
        "a key with another role",
    )


def _promise_of(receipt: bytes) -> bytes:
    from ledger.proof.promise import parse_receipt

    return parse_receipt(receipt).promise.encode()


def _histories() -> Iterator[Case]:
    """An operator who signs two histories, and proofs between checkpoints."""
    second = SmallLog().terms()
    for stored in LOG.entries[1:6]:
        second.append_bytes(stored)
    second.publish("8")
    yield Case(
        "two_histories_fail",
        "two checkpoints of one log and one size, with two roots",
        {"first.txt": LOG.checkpoint(7), "second.txt": second.checkpoint(7), "policy.txt": POLICY},
        ("first.txt", "second.txt", "--policy", "policy.txt"),
        "consent.example/log1",
    )
    consistency = LOG.consistency(5)
    arguments = ("consistency.json", "--policy", "policy.txt")

    def case(name: str, why: str, data: bytes, says: str) -> Case:
        return Case(name, why, {"consistency.json": data, "policy.txt": POLICY}, arguments, says)

    yield case("consistency", "the log grew, and nothing else", consistency, "5")
    other = edited(consistency, lambda d: d.update(new=second.checkpoint(7).decode()))
    for name, why, data, says in [
        (
            "consistency_hash_missing",
            "a proof too short",
            edited(consistency, lambda d: d["proof"].pop()),
            "expected a whole proof",
        ),
        (
            "consistency_hash_surplus",
            "a proof too long",
            edited(consistency, lambda d: d["proof"].append("A" * 43 + "=")),
            "expected no more hashes",
        ),
        ("consistency_of_another_history", "a checkpoint of another history", other, "the log showed two histories"),
        (
            "consistency_backwards",
            "old and new exchanged",
            edited(consistency, lambda d: d.update(old=d["new"], new=d["old"])),
            "expected the older tree first",
        ),
    ]:
        yield case(f"{name}_fail", why, data, says)
    assert format_policy(LOG.policy).encode() == POLICY
