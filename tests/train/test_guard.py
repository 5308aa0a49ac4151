"""The discarding of batches, decided on the device, against the published rule."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from multiface.train.guard import HISTORY, VALUES, BatchGuard
from published_update import PublishedGuard

FINE = {"total": 1.0, "verts": 0.5, "kl": 0.01, "tex": 0.3, "screen": 0.0}


def judge(guard: BatchGuard, values: dict[str, float], norm: float = 1.0) -> tuple[bool, bool]:
    accepted, finite = guard.judge(torch.tensor([values[name] for name in VALUES]), torch.tensor(norm))
    return bool(accepted), bool(finite)


@pytest.mark.parametrize("name", ["total", "verts", "kl"])
def test_a_jump_of_any_watched_value_is_discarded(name: str) -> None:
    guard = BatchGuard(threshold=50)
    assert judge(guard, FINE) == (True, True)
    assert judge(guard, {**FINE, name: FINE[name] * 51}) == (False, True)
    assert judge(guard, {**FINE, name: FINE[name] * 49}) == (True, True)
    assert guard.state()["discarded"] == 1


def test_a_discarded_batch_may_have_any_gradient() -> None:
    guard = BatchGuard(threshold=50)
    judge(guard, FINE)
    assert judge(guard, {**FINE, "total": 51.0}, norm=float("inf")) == (False, True)
    assert judge(guard, FINE) == (True, True)


def test_a_lasting_change_of_level_is_accepted_in_the_end() -> None:
    guard = BatchGuard(threshold=10, patience=3)
    judge(guard, FINE)
    assert [judge(guard, {**FINE, "total": 100.0})[0] for _ in range(5)] == [False, False, False, True, True]


def test_a_previous_value_of_zero_discards_nothing() -> None:
    guard = BatchGuard(threshold=10)
    judge(guard, {**FINE, "kl": 0.0})
    assert judge(guard, FINE) == (True, True)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["total", "verts", "kl", "norm"])
def test_after_a_value_that_is_no_number_nothing_is_accepted(name: str, bad: float) -> None:
    guard = BatchGuard(threshold=50)
    judge(guard, FINE)
    result = judge(guard, FINE, bad) if name == "norm" else judge(guard, {**FINE, name: bad})
    assert result == (False, False)
    assert judge(guard, FINE) == (False, False)
    rows, calls, discarded, diverged_at = guard.read()
    assert (len(rows), calls, discarded, diverged_at) == (3, 3, 0, 1)
    assert [bool(row[-1]) for row in rows] == [True, False, False]


level = st.floats(0, 1e6, width=32)


@given(st.lists(st.tuples(level, level, level), max_size=12), st.integers(1, 4), st.sampled_from([1.5, 10.0, 50.0]))
def test_it_decides_as_the_published_rule(levels, patience: int, threshold: float) -> None:
    ours, published = BatchGuard(threshold, patience=patience), PublishedGuard(threshold, patience)
    for total, verts, kl in levels:
        values = {**FINE, "total": total, "verts": verts, "kl": kl}
        assert judge(ours, values) == (published.accepts(values), True)
    assert ours.state() == {
        "previous": published.previous,
        "in_a_row": published.in_a_row,
        "discarded": published.discarded,
    }


def test_a_restored_guard_goes_on() -> None:
    first, second = BatchGuard(threshold=10), BatchGuard(threshold=10)
    judge(first, FINE)
    judge(first, {**FINE, "total": 100.0})
    second.load_state(first.state())
    assert second.state() == first.state()
    assert judge(second, {**FINE, "total": 100.0}) == (False, True)


def test_the_latest_values_are_kept_in_order() -> None:
    guard = BatchGuard(threshold=50)
    for number in range(HISTORY + 5):
        judge(guard, {**FINE, "tex": float(number)})
    rows, calls, _, _ = guard.read()
    assert calls == HISTORY + 5
    assert [row[VALUES.index("tex")] for row in rows] == list(range(5, HISTORY + 5))
