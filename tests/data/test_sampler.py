"""Orders of samples."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.capture import FrameKey
from multiface.data import Sample
from multiface.data.sampler import deal_batches, epoch_order, share_batch, split_batches

SAMPLES = [Sample(FrameKey("S", f"{frame:06d}"), f"40000{camera}") for frame in range(6) for camera in range(5)]


def test_unshuffled_is_the_order_of_the_index():
    assert epoch_order(SAMPLES, shuffle=False, views_per_frame=3) == list(range(30))


@pytest.mark.parametrize("views", [1, 3])
def test_shuffled_orders_differ_between_epochs_and_seeds_and_repeat(views):
    orders = {
        (seed, epoch): epoch_order(SAMPLES, shuffle=True, seed=seed, epoch=epoch, views_per_frame=views)
        for seed in range(3)
        for epoch in range(3)
    }
    assert len({tuple(order) for order in orders.values()}) == 9
    assert orders[1, 2] == epoch_order(SAMPLES, shuffle=True, seed=1, epoch=2, views_per_frame=views)
    assert all(sorted(order) == list(range(30)) for order in orders.values())


@given(st.integers(0, 50), st.integers(2, 7))
def test_views_of_a_frame_come_together_in_groups(epoch, views):
    order = epoch_order(SAMPLES, shuffle=True, epoch=epoch, views_per_frame=views)
    frames = [SAMPLES[position].key for position in order]
    groups_per_frame = -(-5 // views)
    changes = sum(a != b for a, b in pairwise(frames))
    assert changes < 6 * groups_per_frame
    if views >= 5:
        assert changes == 5


@given(st.integers(0, 40), st.integers(1, 9), st.integers(1, 5))
def test_processes_deal_the_batches_without_repeating_any(n, batch_size, world_size):
    batches = split_batches(range(n), batch_size)
    shares = [deal_batches(batches, rank, world_size) for rank in range(world_size)]
    assert sorted(sample for share in shares for batch in share for sample in batch) == list(range(n))


@given(st.permutations(range(len(SAMPLES))), st.integers(0, 30), st.integers(1, 5), st.integers(1, 4))
def test_processes_share_a_batch_in_order_without_repeating_any(order, n, world_size, views):
    batch = order[:n]
    parts = [share_batch(batch, SAMPLES, rank, world_size, views_per_frame=views) for rank in range(world_size)]
    assert [position for part in parts for position in part.positions] == batch
    assert [part.start for part in parts] == [sum(len(p.positions) for p in parts[:rank]) for rank in range(world_size)]
    assert {part.total for part in parts} == {n}
    assert max(len(part.positions) for part in parts) <= -(-n // world_size) + 2 * (views - 1)


@given(st.integers(0, 20), st.integers(2, 5), st.integers(2, 4))
def test_views_of_a_frame_stay_in_one_process(epoch, views, world_size):
    order = epoch_order(SAMPLES, shuffle=True, epoch=epoch, views_per_frame=views)
    parts = [share_batch(order, SAMPLES, rank, world_size, views_per_frame=views).positions for rank in range(world_size)]
    for left, right in pairwise(part for part in parts if part):
        key = SAMPLES[left[-1]].key
        together = [SAMPLES[position].key == key for position in (*left, *right)].count(True)
        assert SAMPLES[right[0]].key != key or together > views
