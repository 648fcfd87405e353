"""Whom to trust: policies read and written, roles held apart, quorums counted, and checkpoints opened or refused."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import InvalidInput, NotVerified
from ledger.proof.checkpoint import Checkpoint
from ledger.proof.cosignature import AUDITOR_SUFFIX, cosign
from ledger.proof.note import (
    COSIGNATURE,
    ED25519,
    Note,
    Signature,
    VerifierKey,
    format_note,
    make_signing_key,
    parse_note,
    sign_note,
)
from ledger.proof.policy import (
    Group,
    Opened,
    Trust,
    format_policy,
    is_auditor,
    open_checkpoint,
    parse_policy,
    trust_of_keys,
)
from tests.proof.signing import (
    ALL,
    AUDITOR,
    CHECKPOINT,
    LOG,
    NOON,
    ORIGIN,
    OTHERS,
    OURS,
    RECEIPTS,
    WITNESSES,
    key_of,
    names,
    signed_checkpoint,
    signed_note,
)

L, R, A = LOG.verifier.text, RECEIPTS.verifier.text, AUDITOR.verifier.text
W1, W2 = (key.verifier.text for key in WITNESSES)
BARE = trust_of_keys([LOG.verifier])


# Bare keys


def test_a_bare_key_opens_the_known_answer_and_says_that_nobody_vouches() -> None:
    opened = open_checkpoint(OURS["checkpoint"].encode(), BARE)
    assert opened.checkpoint == CHECKPOINT
    assert opened.log_keys == (LOG.verifier,)
    assert opened.cosigned == {}
    assert not opened.vouched
    assert opened.caveat is not None
    assert "no witness and no auditor vouches" in opened.caveat
    assert "somebody else may be shown another log" in opened.caveat


def test_bare_keys_are_of_the_log_or_of_its_receipts() -> None:
    trust = trust_of_keys([RECEIPTS.verifier, LOG.verifier, LOG.verifier])
    assert (trust.logs, trust.receipts) == ((LOG.verifier,), (RECEIPTS.verifier,))
    assert trust.quorum is None
    with pytest.raises(NotVerified, match="name witnesses and auditors in a policy file"):
        trust_of_keys([LOG.verifier, WITNESSES[0].verifier])


def test_cosignatures_by_nobody_known_change_nothing_that_is_said() -> None:
    with_others = open_checkpoint(signed_checkpoint(*WITNESSES, AUDITOR), BARE)
    assert _said(with_others) == _said(open_checkpoint(signed_checkpoint(), BARE))


# Opening


def test_the_known_cosignatures_reach_a_quorum_of_both() -> None:
    trust = parse_policy(f"log {L}\nwitness a {W1}\nwitness b {W2}\ngroup g all a b\nquorum g\n")
    opened = open_checkpoint(OTHERS["cosigned_at_300"].encode(), trust)
    assert opened.checkpoint.size == 300
    assert opened.cosigned == {WITNESSES[0].verifier: 1_760_000_000, WITNESSES[1].verifier: 1_760_000_001}
    assert opened.vouched
    assert opened.caveat == (
        "no auditor vouches for this checkpoint: that its map leaves nothing out is the operator's word"
    )


def test_everybody_vouches() -> None:
    opened = open_checkpoint(signed_checkpoint(*WITNESSES, AUDITOR), ALL)
    assert opened.vouched
    assert opened.caveat is None
    assert dict(opened.cosigned) == {key.verifier: NOON for key in (*WITNESSES, AUDITOR)}


@pytest.mark.parametrize("missing", range(3))
def test_who_is_missing_from_the_quorum_is_missed(missing: int) -> None:
    there = [key for number, key in enumerate((*WITNESSES, AUDITOR)) if number != missing]
    with pytest.raises(NotVerified, match=f"quorum all .* found those of {there[0].verifier.name}"):
        open_checkpoint(signed_checkpoint(*there), ALL)


def test_nobody_cosigned() -> None:
    with pytest.raises(NotVerified, match="found those of nobody"):
        open_checkpoint(signed_checkpoint(), ALL)


def test_a_cosignature_that_nobody_demanded_is_told() -> None:
    trust = parse_policy(f"log {L}\nwitness w {W1}\nwitness a {A}\nquorum none\n")
    opened = open_checkpoint(signed_checkpoint(AUDITOR), trust)
    assert (list(opened.cosigned), opened.vouched, opened.caveat) == ([AUDITOR.verifier], False, None)


@pytest.mark.parametrize("quorum", ["none", "a", "w"])
def test_a_damaged_cosignature_of_a_known_key_rejects_all(quorum: str) -> None:
    trust = parse_policy(f"log {L}\nwitness w {W1}\nwitness a {W2}\nquorum {quorum}\n")
    note = parse_note(signed_checkpoint(*WITNESSES))
    for number in (1, 2):
        signatures = list(note.signatures)
        one = signatures[number]
        signatures[number] = Signature(one.name, one.key_id, one.blob[:-1] + bytes([one.blob[-1] ^ 1]))
        with pytest.raises(NotVerified, match=f"good signature by {one.name}"):
            open_checkpoint(format_note(Note(note.text, tuple(signatures))), trust)


def test_a_damaged_signature_of_the_log_rejects_all() -> None:
    note = parse_note(signed_checkpoint(*WITNESSES, AUDITOR))
    own, *others = note.signatures
    damaged = Signature(own.name, own.key_id, bytes([own.blob[0] ^ 1]) + own.blob[1:])
    with pytest.raises(NotVerified, match=f"good signature by {ORIGIN}"):
        open_checkpoint(format_note(Note(note.text, (damaged, *others))), ALL)


def test_after_a_rotation_either_key_of_the_log_will_do_and_a_bad_one_will_not() -> None:
    new = make_signing_key(ORIGIN, ED25519, b"n" * 32)
    both = Note(CHECKPOINT.text, (sign_note(CHECKPOINT.text, LOG), sign_note(CHECKPOINT.text, new)))
    for keys in ([LOG], [new], [LOG, new]):
        trust = trust_of_keys([key.verifier for key in keys])
        assert open_checkpoint(format_note(both), trust).log_keys == trust.logs
    old_alone, new_alone = signed_checkpoint(), signed_checkpoint(log=new)
    trust = trust_of_keys([LOG.verifier, new.verifier])
    assert open_checkpoint(old_alone, trust).log_keys == (LOG.verifier,)
    assert open_checkpoint(new_alone, trust).log_keys == (new.verifier,)
    bad = Signature(ORIGIN, new.verifier.id, sign_note("another text\n", new).blob)
    with pytest.raises(NotVerified, match="good signature"):
        open_checkpoint(format_note(Note(CHECKPOINT.text, (sign_note(CHECKPOINT.text, LOG), bad))), trust)


def test_a_checkpoint_of_another_log_is_refused() -> None:
    other = key_of("other.example/log")
    theirs = Checkpoint("other.example/log", 10, CHECKPOINT.root)
    with pytest.raises(NotVerified, match=r"signature by other.example/log under a key that you trust \(no such key\)"):
        open_checkpoint(signed_checkpoint(checkpoint=theirs, log=other), BARE)
    # Our key under their origin, and their key, trusted for their log, under ours.
    with pytest.raises(NotVerified, match=r"found consent\.example/log1, a key with another role"):
        open_checkpoint(signed_checkpoint(checkpoint=theirs), BARE)
    both = trust_of_keys([LOG.verifier, other.verifier])
    with pytest.raises(NotVerified, match=r"found other\.example/log, a key with another role"):
        open_checkpoint(signed_checkpoint(log=other), both)
    assert open_checkpoint(signed_checkpoint(checkpoint=theirs, log=other), both).checkpoint == theirs


def test_a_key_of_the_right_name_that_is_not_pinned_is_nobody() -> None:
    forger = make_signing_key(ORIGIN, ED25519, b"f" * 32)
    with pytest.raises(NotVerified, match="under a key that you trust"):
        open_checkpoint(signed_checkpoint(log=forger), BARE)


def test_the_receipts_key_signs_no_checkpoint() -> None:
    trust = trust_of_keys([LOG.verifier, RECEIPTS.verifier])
    for keys in ([RECEIPTS], [LOG, RECEIPTS], [RECEIPTS, LOG]):
        with pytest.raises(NotVerified, match=r"found consent\.example/log1/receipts, a key with another role"):
            open_checkpoint(signed_note(CHECKPOINT.text, *keys), trust)


def test_one_witness_twice_in_the_note_counts_once() -> None:
    trust = parse_policy(f"log {L}\nwitness a {W1}\nwitness b {W2}\ngroup g 2 a b\nquorum g\n")
    own, once = parse_note(signed_checkpoint(WITNESSES[0])).signatures
    later = cosign(CHECKPOINT.text, WITNESSES[0], NOON + 1)
    for again in (once, later):
        with pytest.raises(NotVerified, match=r"found those of witness1\.example;"):
            open_checkpoint(format_note(Note(CHECKPOINT.text, (own, once, again))), trust)


def test_one_witness_under_another_name_in_the_note_counts_once() -> None:
    same_key = make_signing_key("witness2.example", COSIGNATURE, bytes([1]) * 32)
    trust = parse_policy(f"log {L}\nwitness a {W1}\nwitness b {W2}\ngroup g 2 a b\nquorum g\n")
    with pytest.raises(NotVerified, match=r"found those of witness1\.example;"):
        open_checkpoint(signed_checkpoint(WITNESSES[0], same_key), trust)


@pytest.mark.parametrize(
    "data",
    [
        signed_note(f"{ORIGIN}\n0362\n{OTHERS['cosigned_at_300'].splitlines()[2]}\n", LOG),
        signed_note(CHECKPOINT.text + "an extension line\n", LOG),
        signed_note(CHECKPOINT.text + "\n", LOG),
        signed_note("any text\n", LOG),
        OURS["checkpoint"].replace("\n", "\r\n").encode(),
        OURS["checkpoint"].encode() + b"\n",
        b"",
        bytes(100),
    ],
)
def test_what_is_no_checkpoint_is_refused_though_the_log_signed_it(data: bytes) -> None:
    with pytest.raises(NotVerified, match="expected"):
        open_checkpoint(data, BARE)


def test_every_single_changed_bit_is_refused_where_everybody_must_vouch() -> None:
    good = signed_checkpoint(*WITNESSES, AUDITOR)
    open_checkpoint(good, ALL)
    for bit in range(len(good) * 8):
        with pytest.raises(NotVerified, match="expected"):
            open_checkpoint(_flipped(good, bit), ALL)


def test_under_a_bare_key_a_changed_bit_is_refused_or_says_the_same() -> None:
    good = signed_checkpoint(*WITNESSES, AUDITOR)
    said = _said(open_checkpoint(good, BARE))
    own_end = good.index(b"\xe2\x80\x94 witness1")
    passed = 0
    for bit in range(len(good) * 8):
        try:
            opened = open_checkpoint(_flipped(good, bit), BARE)
        except NotVerified:
            continue
        assert _said(opened) == said
        assert bit // 8 >= own_end  # in a line of somebody unknown
        passed += 1
    assert passed > 0


# Roles


@pytest.mark.parametrize(
    "policy",
    [
        f"log {WITNESSES[0].verifier.text}",  # a witness as a log
        f"log {key_of(f'{ORIGIN}/receipts', COSIGNATURE).verifier.text}",
        f"witness w {L}",
        f"witness w {R}",
        f"witness w {key_of('x/receipts', COSIGNATURE).verifier.text}",
        f"log {key_of('x' + AUDITOR_SUFFIX).verifier.text}",
        f"witness w {key_of('x' + AUDITOR_SUFFIX).verifier.text}",
    ],
)
def test_a_key_in_another_role_is_refused(policy: str) -> None:
    with pytest.raises(NotVerified, match=r"expected a key|expected the key"):
        parse_policy(policy + "\nquorum none\n")


def _same(key: VerifierKey, name: str, type: int) -> str:
    return VerifierKey(name, type, key.public).text


@pytest.mark.parametrize(
    "policy",
    [
        f"log {L}\nlog {L}",
        f"log {L}\nlog {_same(LOG.verifier, 'other.example', ED25519)}",
        f"log {L}\nlog {_same(LOG.verifier, ORIGIN + '/receipts', ED25519)}",
        f"log {L}\nwitness w {_same(LOG.verifier, 'w.example', COSIGNATURE)}",
        f"log {R}\nwitness w {_same(RECEIPTS.verifier, 'w.example', COSIGNATURE)}",
        f"witness v {W1}\nwitness w {W1}",
        f"witness v {W1}\nwitness w {_same(WITNESSES[0].verifier, 'w.example', COSIGNATURE)}",
        f"witness v {W1}\nwitness w {_same(WITNESSES[0].verifier, 'x' + AUDITOR_SUFFIX, COSIGNATURE)}",
    ],
)
def test_one_public_key_has_one_role_and_one_name(policy: str) -> None:
    with pytest.raises(NotVerified, match="expected each public key once, in one role"):
        parse_policy(policy + "\nquorum none\n")


def test_one_key_object_under_two_names_is_refused_too() -> None:
    with pytest.raises(NotVerified, match="each public key once"):
        Trust((), (), {"a": WITNESSES[0].verifier, "b": WITNESSES[0].verifier})


def test_two_keys_of_one_name_and_one_id_are_refused() -> None:
    seen: dict[bytes, VerifierKey] = {}
    for number in itertools.count():  # a birthday among 32 bits: some 100,000 keys
        key = VerifierKey("x", ED25519, number.to_bytes(32, "big"))
        other = seen.setdefault(key.id, key)
        if other is not key:
            break
    with pytest.raises(NotVerified, match="expected keys of different ids"):
        Trust((key, other))


def test_an_auditor_is_who_is_named_so_and_cosigns() -> None:
    assert is_auditor(AUDITOR.verifier)
    assert not is_auditor(WITNESSES[0].verifier)
    assert not is_auditor(key_of("x" + AUDITOR_SUFFIX).verifier)


# The file


def test_a_policy_as_people_write_it() -> None:
    trust = parse_policy(
        "# whom we trust, since 2025\n"
        f"log {L} https://log.example/\n"
        f"log {R}\n"
        "\n"
        f"witness\tone  {W1} https://witness1.example/submit \n"
        f"  witness two {W2}\n"
        f"\twitness auditor {A}\n"
        "   # two of two, and the auditor\n"
        "group both all one two\n"
        "group all 2 both auditor\n"
        "quorum all"
    )
    assert trust == Trust(
        ALL.logs, ALL.receipts, ALL.witnesses, ALL.groups, "all", {"one": "https://witness1.example/submit"}
    )
    assert trust.cosigners == (WITNESSES[0].verifier, WITNESSES[1].verifier, AUDITOR.verifier)


def test_the_example_of_the_specification_counts_as_it_says() -> None:
    keys = {name: key_of(f"{name}.example", COSIGNATURE) for name in ("X1", "X2", "X3", "Y1", "Y2", "Y3")}
    witnesses = [f"witness {name} {key.verifier.text}\n" for name, key in keys.items()]
    trust = parse_policy(
        f"log {L}\n\n{''.join(witnesses[:3])}group X-witnesses 2 X1 X2 X3\n\n"
        f"{''.join(witnesses[3:])}group Y-witnesses any Y1 Y2 Y3\n\n"
        "group X-and-Y all X-witnesses Y-witnesses\nquorum X-and-Y\n"
    )
    for many in range(7):
        for names_there in itertools.combinations(keys, many):
            enough = sum(name[0] == "X" for name in names_there) >= 2 and any(name[0] == "Y" for name in names_there)
            assert trust.reached(keys[name].verifier for name in names_there) == enough


def test_a_quorum_counts_public_keys_and_nobody_it_does_not_name() -> None:
    trust = parse_policy(f"log {L}\nwitness a {W1}\nwitness b {W2}\ngroup g all a b\nquorum g\n")
    a, b = (key.verifier for key in WITNESSES)
    assert trust.reached([a, b])
    assert not trust.reached([a, a, VerifierKey("another-name", COSIGNATURE, a.public), AUDITOR.verifier])
    assert not trust.reached([])
    assert parse_policy("quorum none").reached([])


def test_groups_as_deep_as_a_file_goes_are_counted() -> None:
    lines = [f"witness w {W1}", "group g0 all w", *(f"group g{n} any g{n - 1}" for n in range(1, 5000)), "quorum g4999"]
    trust = parse_policy("\n".join(lines))
    assert trust.reached([WITNESSES[0].verifier])
    assert not trust.reached([WITNESSES[1].verifier])


def test_names_are_compared_as_they_are_written() -> None:
    with pytest.raises(InvalidInput, match=r"line 2 .* of a line above"):
        parse_policy(f"witness K {W1}\nquorum \N{KELVIN SIGN}\n")


@pytest.mark.parametrize(
    ("policy", "match"),
    [
        ("", "expected a line `quorum <name>`"),
        (f"log {L}\n", "expected a line `quorum <name>`"),
        ("quorum none\nquorum none\n", "line 2 of the policy: expected one quorum"),
        ("quorum w\n", "line 1 of the policy: expected a witness or group of a line above, found 'w'"),
        (f"quorum w\nwitness w {W1}\n", "line 1"),
        ("quorum\n", "line 1 of the policy: expected `log <vkey>"),
        ("quorum none none\n", "line 1 of the policy: expected `log <vkey>"),
        ("log\n", "line 1"),
        ("log x\n", "line 1 of the policy: expected a verifier key"),
        (f"log {L} url more\n", "line 1"),
        (f"log {L[:-1]}\n", "verifier key"),
        (f"witness w\n{W1}\n", "line 1"),
        (f"witness w {W1} url more\n", "line 1"),
        (f"witness none {W1}\n", "expected a new name, found 'none'"),
        (f"witness w {W1}\nwitness w {W2}\n", "line 2 of the policy: expected a new name"),
        (f"witness w {W1}\ngroup w any w\n", "expected a new name"),
        (f"witness w {W1}\ngroup g any g\n", "of a line above, found 'g'"),
        (f"witness w {W1}\ngroup g any h\ngroup h any w\n", "line 2 .* of a line above, found 'h'"),
        (f"witness w {W1}\ngroup g any none\n", "of a line above, found 'none'"),
        (f"witness w {W1}\ngroup g all w w\n", "it would count twice"),
        (f"witness w {W1}\ngroup g any w\ngroup h any w\n", "line 3 .* it would count twice"),
        (f"witness w {W1}\ngroup g 0 w\n", "expected 1 to 1 of 1 members, found 0"),
        (f"witness w {W1}\ngroup g 2 w\n", "expected 1 to 1 of 1 members, found 2"),
        (f"witness w {W1}\ngroup g 01 w\n", "decimal"),
        (f"witness w {W1}\ngroup g ALL w\n", "or write all or any"),
        ("group g any\n", "line 1"),
        ("group none any\n", "line 1"),
        ("Quorum none\n", "line 1"),
        ("quorum none # a comment\n", "line 1"),
        ("quorum none\r\n", r"control characters, found U\+000D"),
        ("quorum none\x00\n", r"found U\+0000"),
        ("quorum none\x7f\n", r"found U\+007F"),
        ("quorum\N{NO-BREAK SPACE}none\n", "line 1"),
    ],
)
def test_what_means_nothing_is_wrong_usage(policy: str, match: str) -> None:
    with pytest.raises(InvalidInput, match=match):
        parse_policy(policy)


@st.composite
def trusts(draw: st.DrawFn) -> Trust:
    seeds = draw(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=8, unique=True))
    # A key's public half takes any 32 bytes here: nothing is signed.
    logs, receipts, witnesses = [], [], {}
    for number, public in enumerate(seeds):
        role, name = draw(st.sampled_from(["log", "receipts", "witness"])), f"{number}.example"
        if role == "log":
            logs.append(VerifierKey(name, ED25519, public))
        elif role == "receipts":
            receipts.append(VerifierKey(f"{name}/receipts", ED25519, public))
        else:
            called = draw(names.filter(lambda name: name != "none" and name not in witnesses))
            witnesses[called] = VerifierKey(name, COSIGNATURE, public)
    free, groups = list(witnesses), dict[str, Group]()
    for _ in range(draw(st.integers(0, 4)) if free else 0):
        members = draw(st.lists(st.sampled_from(free), min_size=1, unique=True))
        free = [name for name in free if name not in members]
        name = f"group-{len(groups)}-{draw(names)}"
        groups[name] = Group(draw(st.integers(1, len(members))), tuple(members))
        free.append(name)
    urls = {name: f"https://{number}.example/" for number, name in enumerate(witnesses) if draw(st.booleans())}
    quorum = draw(st.sampled_from([None, *witnesses, *groups]))
    return Trust(tuple(logs), tuple(receipts), witnesses, groups, quorum, urls)


@settings(deadline=None, database=None)
@given(trusts())
def test_a_policy_comes_back(trust: Trust) -> None:
    assert parse_policy(format_policy(trust)) == trust


@settings(deadline=None, database=None)
@given(trusts(), st.data())
def test_one_more_cosigner_never_loses_the_quorum(trust: Trust, data: st.DataObject) -> None:
    there = data.draw(st.sets(st.sampled_from(trust.cosigners))) if trust.cosigners else set()
    if trust.reached(there):
        assert trust.reached(trust.cosigners)
        for more in trust.cosigners:
            assert trust.reached({*there, more})


def _flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def _said(opened: Opened) -> tuple[object, ...]:
    """All that a verdict is made of: of the note only what was verified."""
    return opened.checkpoint, opened.log_keys, dict(opened.cosigned), opened.vouched, opened.caveat
