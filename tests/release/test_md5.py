"""MD5 with a state that can be written down, against hashlib."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multiface.core.errors import ArgumentError
from multiface.release.md5 import Md5


@settings(max_examples=60)
@given(st.lists(st.binary(max_size=300), max_size=8), st.integers(0, 7))
def test_it_agrees_with_hashlib_however_the_bytes_are_cut_and_wherever_it_is_resumed(pieces: list[bytes], at: int) -> None:
    digest, reference = Md5(), hashlib.md5()
    for number, piece in enumerate(pieces):
        if number == at:
            digest = Md5.resumed(digest.state(), digest.length)
        digest.update(memoryview(b"x" + piece)[1:])  # not aligned in memory
        reference.update(piece)
        assert digest.hexdigest() == reference.hexdigest()


@pytest.mark.parametrize("length", [0, 55, 56, 63, 64, 65, 127, 128, 1 << 20])
def test_lengths_around_the_blocks(length: int) -> None:
    data = bytes(range(256)) * (length // 256 + 1)
    digest = Md5()
    digest.update(data[:length])
    assert digest.hexdigest() == hashlib.md5(data[:length]).hexdigest()


@pytest.mark.parametrize(("state", "length"), [("", 0), ("00" * 15, 0), ("00" * 17, 0), ("00" * 16, 1), ("zz" * 16, 0)])
def test_what_is_no_state_is_refused(state: str, length: int) -> None:
    with pytest.raises(ArgumentError):
        Md5.resumed(state, length)
