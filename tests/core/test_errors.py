from __future__ import annotations

import pickle

import pytest

from multiface.core import errors

KINDS = [
    errors.ArgumentError,
    errors.FormatError,
    errors.CaptureError,
    errors.CheckpointError,
    errors.DependencyError,
    errors.StorageError,
    errors.DivergenceError,
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_message_says_what_where_expected_found_and_remedy(kind: type[errors.MultifaceError]) -> None:
    error = kind("block is incomplete", where="KRT, line 12", expected="3 numbers", found="'x'", remedy="Copy it again")
    assert str(error) == "KRT, line 12: block is incomplete (expected 3 numbers, found 'x'). Copy it again."
    assert error.exit_status == 2


@pytest.mark.parametrize("kind", KINDS)
def test_parts_left_out_leave_no_trace(kind: type[errors.MultifaceError]) -> None:
    assert str(kind("it is wrong")) == "it is wrong."
    assert str(kind("it is wrong", found=0)) == "it is wrong (found 0)."


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_the_way_from_a_worker_process(kind: type[errors.MultifaceError]) -> None:
    error = kind("bad", where="x.bin", expected=(1, 2), found=[3], remedy="Do that")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error)
    assert (again.what, again.where, again.expected, again.found, again.remedy) == ("bad", "x.bin", (1, 2), [3], "Do that")


def test_they_can_be_caught_as_what_they_are_in_python() -> None:
    assert issubclass(errors.ArgumentError, ValueError)
    assert issubclass(errors.FormatError, ValueError)
    assert issubclass(errors.DependencyError, ImportError)
    assert issubclass(errors.StorageError, OSError)
    assert all(issubclass(kind, errors.MultifaceError) for kind in KINDS)
