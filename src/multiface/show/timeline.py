"""When each frame of a segment is shown: by frame number, so that sound fits and dropped frames are held."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd

import numpy as np

from multiface.capture import FrameKey

FRAME_RATE = 30
"""Frames per second of the release."""

NUMBERS_PER_FRAME = 3
"""By how much frame numbers of the release advance from one frame to the next."""

LONGEST_SILENT_HOLD = FRAME_RATE
"""Video frames for which a gap without sound is held at most: one second."""


@dataclass(frozen=True)
class Timeline:
    """Video frame at which each frame of a segment begins.

    Attributes:
        ticks: Frame -> number of the video frame, from 0.
        rate: Video frames per second.
        offset: Seconds of the segment's sound that come before the first video frame.
    """

    ticks: dict[FrameKey, int]
    rate: float
    offset: float = 0.0


def sounding_timeline(frames: Sequence[FrameKey], wanted: Sequence[FrameKey]) -> Timeline:
    """By frame number, at the release's rate: a frame is shown when it was spoken, however many were dropped before it.

    Numbers that advance by a multiple of three are the release's, with three to a frame; others count frames by themselves.

    Args:
        frames: All frames of the segment in order; the sound begins with the first.
        wanted: The frames to be shown, in order.
    """
    numbers = _numbers(frames)
    step = NUMBERS_PER_FRAME if _common_step(list(numbers.values())) % NUMBERS_PER_FRAME == 0 else 1
    start = numbers[wanted[0]]
    ticks = {key: (numbers[key] - start) // step for key in wanted}
    return Timeline(ticks, FRAME_RATE, (start - numbers[frames[0]]) / step / FRAME_RATE)


def silent_timeline(frames: Sequence[FrameKey], wanted: Sequence[FrameKey], rate: float) -> Timeline:
    """One video frame for each frame; gaps in the numbers are held, for a second at most.

    Args:
        frames: All frames of the segment in order: their smallest step is one frame.
        wanted: The frames to be shown, in order.
        rate: Video frames per second.
    """
    numbers = _numbers(frames)
    steps = np.diff(list(numbers.values()))
    step = int(steps[steps > 0].min()) if (steps > 0).any() else 1
    ticks, tick, last = {}, 0, None
    for key in wanted:
        if last is not None:
            tick += min(max((numbers[key] - last) // step, 1), LONGEST_SILENT_HOLD)
        ticks[key], last = tick, numbers[key]
    return Timeline(ticks, rate)


def cut_sound(samples: np.ndarray, rate: int, offset: float) -> tuple[np.ndarray, int]:
    """The sound from ``offset`` seconds on."""
    return samples[round(offset * rate) :], rate


def _numbers(frames: Sequence[FrameKey]) -> dict[FrameKey, int]:
    """Frame numbers, or positions when a name is no number."""
    if all(key.frame.isdigit() for key in frames):
        return {key: int(key.frame) for key in frames}
    return {key: position for position, key in enumerate(frames)}


def _common_step(numbers: Sequence[int]) -> int:
    return gcd(*np.diff(numbers).tolist()) if len(numbers) > 1 else 1
