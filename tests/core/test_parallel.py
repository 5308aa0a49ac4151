"""Threads that give results in order and end with the iteration."""

from __future__ import annotations

import threading

import pytest

from multiface.core.parallel import default_workers, ordered_map


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_results_come_in_order(workers):
    assert list(ordered_map(lambda x: x * x, range(50), workers=workers)) == [x * x for x in range(50)]


@pytest.mark.parametrize("workers", [0, 3])
def test_an_exception_comes_where_its_result_would_have_been(workers):
    def fail_at_three(x):
        if x == 3:
            raise ValueError("three")
        return x

    results = ordered_map(fail_at_three, range(10), workers=workers)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="three"):
        next(results)
    assert list(results) == []


def test_leaving_early_drops_what_has_not_begun_and_ends_the_threads():
    before = threading.active_count()
    begun = []
    results = ordered_map(begun.append, range(1000), workers=2, ahead=4)
    next(results)
    assert threading.active_count() > before
    results.close()
    assert threading.active_count() == before
    assert len(begun) <= 6


def test_never_more_than_ahead_results_wait():
    begun = []
    for taken, _ in enumerate(ordered_map(begun.append, range(100), workers=2, ahead=5)):
        assert len(begun) - taken <= 5


def test_default_workers_is_at_least_one_and_bounded():
    assert 1 <= default_workers(at_most=2) <= 2
