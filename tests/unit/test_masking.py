"""No secret passes, wherever a read cuts it in two, and everything else does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from container_manager.masking import MASK, SHORTEST, Masker
from container_manager.specs import LogEntry, Stream
from tests.unit.properties import STEADY

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entries(*pieces: bytes, stream: Stream = Stream.STDOUT) -> list[LogEntry]:
    return [LogEntry(stream, piece, NOW) for piece in pieces]


def text_of(found: Sequence[LogEntry] | None, stream: Stream = Stream.STDOUT) -> bytes:
    assert found is not None
    return b"".join(entry.data for entry in found if entry.stream is stream)


def read(masker: Masker, pieces: Sequence[bytes]) -> bytes:
    """What is kept of an output that comes in ``pieces``, each read again with the next where it was refused."""
    kept, waiting = b"", list[bytes]()
    for number, piece in enumerate(pieces, start=1):
        waiting.append(piece)
        found = masker.mask_entries(entries(*waiting), must_take=number == len(pieces))
        if found is not None:
            kept, waiting = kept + text_of(found), []
    return kept


def test_a_secret_is_replaced_and_the_rest_stays() -> None:
    masker = Masker(["hunter22"])
    assert text_of(masker.mask_entries(entries(b"a hunter22 b\n"), must_take=False)) == b"a ******** b\n"
    assert masker.mask_value({"hunter22": ["x hunter22", 7, None]}) == {MASK: [f"x {MASK}", 7, None]}


def test_a_secret_across_entries_is_replaced_once_and_streams_are_apart() -> None:
    masker = Masker(["hunter22"])
    mixed = [*entries(b"a hun"), *entries(b"ter22", stream=Stream.STDERR), *entries(b"ter22 b")]
    found = masker.mask_entries(mixed, must_take=False)
    assert text_of(found) == b"a ******** b"
    assert text_of(found, Stream.STDERR) == b"ter22"


def test_what_may_become_a_secret_is_read_again_or_hidden_at_the_end() -> None:
    masker = Masker(["hunter22"])
    assert masker.mask_entries(entries(b"a hunt"), must_take=False) is None
    assert text_of(masker.mask_entries(entries(b"a hunt"), must_take=True)) == b"a ********"


@pytest.mark.parametrize("value", ["", "a", "abc"])
def test_values_too_short_to_hide_are_left(value: str) -> None:
    masker = Masker([value])
    assert not masker.is_needed
    assert masker.mask_value("abc") == "abc"


def test_the_lines_of_a_key_are_hidden_one_by_one() -> None:
    masker = Masker(["-----BEGIN KEY-----\nMIIBOgIBAAJBAKj34\nshort\n"])
    assert masker.mask_value("x MIIBOgIBAAJBAKj34 y short") == f"x {MASK} y short"


# Two letters: secrets overlap each other and themselves all the time.
SECRETS = st.lists(st.text("ab", min_size=SHORTEST, max_size=7), min_size=1, max_size=3)
OUTPUT = st.text("abc \n", max_size=60)


def cut(whole: bytes, data: st.DataObject) -> list[bytes]:
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6))), len(whole)]
    return [whole[start:end] for start, end in pairwise(edges)]


@STEADY
@given(secrets=SECRETS, output=OUTPUT, data=st.data())
def test_no_secret_is_kept_wherever_the_output_is_cut(secrets: list[str], output: str, data: st.DataObject) -> None:
    kept = read(Masker(secrets), cut(output.encode(), data))
    assert not [secret for secret in secrets if secret.encode() in kept]


@STEADY
@given(secrets=SECRETS, output=OUTPUT)
def test_no_secret_is_left_in_a_value(secrets: list[str], output: str) -> None:
    masked = Masker(secrets).mask_value({"text": [output]})["text"][0]
    assert not [secret for secret in secrets if secret in masked]


@STEADY
@given(output=st.text("xyz \n", max_size=60), data=st.data())
def test_output_without_a_secret_is_kept_as_it_is(output: str, data: st.DataObject) -> None:
    assert read(Masker(["abab", "baabb"]), cut(output.encode(), data)) == output.encode()


@STEADY
@given(before=st.text("xyz", max_size=9), after=st.text("xyz", max_size=9), data=st.data())
def test_what_stands_around_a_secret_is_kept(before: str, after: str, data: st.DataObject) -> None:
    pieces = cut(f"{before}abab{after}".encode(), data)
    assert read(Masker(["abab"]), pieces) == f"{before}{MASK}{after}".encode()
