"""Throughput as it is told while a training runs."""

from __future__ import annotations

import pytest

from multiface.train.tally import RECENT, Tally


def _updates(tally: Tally, seconds: float, count: int) -> None:
    """So many updates of 16 images, read at once after so long."""
    tally.seconds += seconds
    for _ in range(count):
        tally.updated({"tex": 1.0}, 16)


def test_the_minute_of_compiling_is_not_in_what_is_told_afterwards() -> None:
    """Found on a GPU: "21.9 images/s" was told for minutes of a training of thousands."""
    tally = Tally()
    assert tally.recent_images_per_second == 0
    _updates(tally, 80.0, 1)
    assert tally.recent_images_per_second == pytest.approx(0.2)
    _updates(tally, 0.1, 20)
    assert tally.recent_images_per_second == pytest.approx(3200)
    assert tally.images_per_second == pytest.approx(336 / 80.1)


@pytest.mark.parametrize("at_once", [1, 20])
def test_it_follows_the_last_updates(at_once: int) -> None:
    tally = Tally()
    for _ in range(RECENT + 5):
        _updates(tally, 1.0, at_once)
    for _ in range(RECENT):
        _updates(tally, 0.5, at_once)
    assert tally.recent_images_per_second == pytest.approx(32 * at_once)
