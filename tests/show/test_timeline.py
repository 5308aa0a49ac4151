"""When frames are shown: by frame number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from multiface.capture import FrameKey
from multiface.show.timeline import LONGEST_SILENT_HOLD, cut_sound, silent_timeline, sounding_timeline


def keys(*numbers: int) -> list[FrameKey]:
    return [FrameKey("SEN_a", f"{number:06d}") for number in numbers]


def test_a_dropped_frame_is_held_so_that_speech_stays_in_step():
    frames = keys(102, 105, 114, 117)
    timeline = sounding_timeline(frames, frames)
    assert list(timeline.ticks.values()) == [0, 1, 4, 5]
    assert timeline.rate == 30 and timeline.offset == 0


def test_frames_that_cannot_be_shown_change_nothing_for_the_others():
    frames = keys(102, 105, 108, 111, 114)
    assert list(sounding_timeline(frames, [frames[0], *frames[3:]]).ticks.values()) == [0, 3, 4]
    late = sounding_timeline(frames, frames[2:])
    assert list(late.ticks.values()) == [0, 1, 2]
    assert late.offset == 2 / 30


def test_numbers_that_count_single_frames_are_understood():
    frames = keys(7, 8, 10)
    assert list(sounding_timeline(frames, frames).ticks.values()) == [0, 1, 3]


def test_without_sound_the_smallest_step_is_one_frame_and_long_gaps_are_cut():
    frames = keys(0, 30, 60, 120, 90_000)
    ticks = list(silent_timeline(frames, frames, 24.0).ticks.values())
    assert ticks == [0, 1, 2, 4, 4 + LONGEST_SILENT_HOLD]


def test_names_that_are_no_numbers_come_one_after_another():
    frames = [FrameKey("s", name) for name in ("a", "b", "c")]
    assert list(silent_timeline(frames, frames, 30).ticks.values()) == [0, 1, 2]


@given(st.lists(st.integers(0, 999_999), min_size=1, max_size=40, unique=True).map(sorted), st.data())
def test_time_always_moves_on(numbers, data):
    frames = keys(*numbers)
    wanted = [key for key in frames if data.draw(st.booleans())] or frames[:1]
    for timeline in (sounding_timeline(frames, wanted), silent_timeline(frames, wanted, 30)):
        ticks = [timeline.ticks[key] for key in wanted]
        assert ticks[0] == 0 and all(b > a for a, b in pairwise(ticks))


def test_the_sound_is_cut_at_the_first_picture():
    samples = np.arange(480, dtype=np.int16)[:, None]
    cut, rate = cut_sound(samples, 4800, 0.05)
    assert rate == 4800 and cut[0, 0] == 240
