"""Checkpoints: the known answers, the exact inverse, and what is refused."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import NotVerified
from ledger.proof.checkpoint import Checkpoint, parse_checkpoint
from ledger.proof.merkle import EMPTY_ROOT, leaf_hash, root
from ledger.proof.note import parse_note
from ledger.proof.strict import LARGEST_NUMBER
from tests.proof.signing import CHECKPOINT, ORIGIN, OTHERS, OURS, names

ROOT = CHECKPOINT.text.split("\n")[2]


def test_our_known_answer_is_read() -> None:
    text = parse_note(OURS["checkpoint"].encode()).text
    assert parse_checkpoint(text) == CHECKPOINT == Checkpoint(ORIGIN, 10, bytes.fromhex(OURS["tree_root"]))
    assert CHECKPOINT.text == text


@pytest.mark.parametrize("size", [300, 70_000])
def test_the_known_trees_have_their_roots(size: int) -> None:
    found = root(leaf_hash(f'{{"n":{number},"t":"Accepted"}}'.encode()) for number in range(size))
    if size == 300:
        assert parse_checkpoint(parse_note(OTHERS["cosigned_at_300"].encode()).text) == Checkpoint(ORIGIN, 300, found)
    else:
        assert base64.b64encode(found).decode() == "IkjUfqDXt4P9/m019qXCnS4RYO7HbltSKLs0FjkE9Zk="


def test_the_example_of_the_specification_is_read() -> None:
    text = parse_note(OTHERS["tlog_cosignature_example"].encode()).text
    checkpoint = parse_checkpoint(text)
    assert (checkpoint.origin, checkpoint.size) == ("example.com/behind-the-sofa", 20_852_163)
    assert checkpoint.root.hex().startswith("0ac5186a9186")
    assert checkpoint.text == text


@settings(deadline=None, database=None)
@given(names, st.integers(1, LARGEST_NUMBER), st.binary(min_size=32, max_size=32))
def test_a_checkpoint_comes_back(origin: str, size: int, tree_root: bytes) -> None:
    checkpoint = Checkpoint(origin, size, tree_root)
    assert parse_checkpoint(checkpoint.text) == checkpoint


def test_the_empty_log_has_the_root_of_nothing_and_no_other() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert empty.text == f"{ORIGIN}\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"
    assert parse_checkpoint(empty.text) == empty
    with pytest.raises(NotVerified, match="root of the empty tree"):
        parse_checkpoint(f"{ORIGIN}\n0\n{ROOT}\n")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (f"{ORIGIN}\n0362\n{ROOT}\n", "size as a decimal"),
        (f"{ORIGIN}\n+10\n{ROOT}\n", "size as a decimal"),
        (f"{ORIGIN}\n10 \n{ROOT}\n", "size as a decimal"),
        (f"{ORIGIN}\n\n{ROOT}\n", "size as a decimal"),
        (f"{ORIGIN}\n{2**63}\n{ROOT}\n", "size as a decimal"),
        (f"{ORIGIN}\n10\n{ROOT}\nextension\n", "without extension lines, found 'extension'"),
        (f"{ORIGIN}\n10\n{ROOT}\n\n", "without extension lines"),
        (f"{ORIGIN}\n10\n{ROOT}", "three lines"),
        (f"{ORIGIN}\n10\n{ROOT}\nextension", "three lines"),
        (f"{ORIGIN}\n10\n", "three lines"),
        ("", "three lines"),
        ("\n", "three lines"),
        (f"\n10\n{ROOT}\n", "origin"),
        (f"a b\n10\n{ROOT}\n", "origin"),
        (f"a+b\n10\n{ROOT}\n", "origin"),
        (f"{ORIGIN}\n10\n{ROOT[:-2]}J=\n", "canonical base64"),
        (f"{ORIGIN}\n10\n{ROOT[:-1]}\n", "base64"),
        (f"{ORIGIN}\n10\n{ROOT[:-4]}\n", "expected 32 bytes as a checkpoint's root, found 30"),
        (f"{ORIGIN}\n10\n\n", "expected 32 bytes"),
        (f"{ORIGIN}\r\n10\r\n{ROOT}\r\n", "size as a decimal"),
        (f" {ORIGIN}\n10\n{ROOT}\n", "origin"),
    ],
)
def test_what_is_no_checkpoint_is_refused(text: str, match: str) -> None:
    with pytest.raises(NotVerified, match=match):
        parse_checkpoint(text)


@pytest.mark.parametrize(
    ("origin", "size", "tree_root"),
    [("a b", 1, bytes(32)), ("a", -1, bytes(32)), ("a", 2**63, bytes(32)), ("a", 1, bytes(31)), ("a", 0, bytes(32))],
)
def test_no_checkpoint_exists_that_could_not_be_read(origin: str, size: int, tree_root: bytes) -> None:
    with pytest.raises(NotVerified, match="expected"):
        Checkpoint(origin, size, tree_root)
