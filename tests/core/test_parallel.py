"""Threads that give results in order and end with the iteration."""

from __future__ import annotations

import threading

import pytest

from multiface.core.parallel import Background, default_workers, ordered_map


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


def test_work_in_the_background_is_done_at_the_end_of_the_block_and_threads_have_ended():
    before, done = threading.active_count(), []
    with Background(workers=3) as background:
        assert threading.active_count() == before, "threads start with the first work"
        futures = [background.add(lambda x: done.append(x) or -x, number) for number in range(20)]
    assert sorted(done) == list(range(20)) and [future.result() for future in futures] == [-n for n in range(20)]
    assert threading.active_count() == before
    background.add(done.append, "later")
    background.finish()
    assert done[-1] == "later" and threading.active_count() == before


def test_never_more_than_ahead_pieces_of_work_are_unfinished():
    may_end, begun = threading.Event(), []

    def wait(number):
        begun.append(number)
        return may_end.wait(10)

    with Background(workers=1, ahead=2) as background:
        background.add(wait, 0)
        background.add(wait, 1)
        third = threading.Thread(target=background.add, args=(wait, 2))
        third.start()
        third.join(0.2)
        assert third.is_alive() and begun == [0]
        may_end.set()
        third.join(10)
    assert begun == [0, 1, 2]


def test_what_work_in_the_background_raises_comes_out_when_more_is_added_or_at_the_end():
    def fail():
        raise ValueError("three")

    with pytest.raises(ValueError, match="three"), Background(workers=1, ahead=1) as background:
        background.add(fail)
        background.add(fail)
        pytest.fail("the second piece waits for the first one")
    with pytest.raises(ValueError, match="three"), Background(workers=1) as background:
        background.add(fail)


def test_an_error_in_the_block_drops_what_has_not_begun():
    before, may_end, begun = threading.active_count(), threading.Event(), []
    with pytest.raises(KeyError), Background(workers=1, ahead=9) as background:
        background.add(may_end.wait, 10)
        for number in range(8):
            background.add(begun.append, number)
        threading.Timer(0.2, may_end.set).start()
        raise KeyError
    assert begun == [] and threading.active_count() <= before + 1
