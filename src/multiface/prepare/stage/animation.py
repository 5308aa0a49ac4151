"""How the head moves: expression weights and pose over the time of a segment."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from multiface.prepare.stage.identity import random_stream
from multiface.prepare.stage.segments import PEAKS, TEST_SEGMENT, gaze_target, is_sentence
from multiface.prepare.stage.speech import Speech
from multiface.prepare.stage.splines import monotone_cubic, smoothstep

FRAME_STEP = 3
"""Released frames advance by this many numbers ..."""
NUMBERS_PER_SECOND = 90.0
"""... which count at this rate, hence 30 frames a second."""


@dataclass(frozen=True, eq=False)
class Performance:
    """One segment: (N,) frame numbers, N weight tables, (N, 3, 4) head poses (head -> world), and the speech, if any."""

    segment: str
    numbers: np.ndarray
    weights: tuple[dict[str, float], ...]
    poses: np.ndarray
    speech: Speech | None


def perform(segment: str, frames: int, seed: int, rest_pose: np.ndarray, shown: tuple[str, ...]) -> Performance:
    """Act ``segment`` in ``frames`` frames.

    Args:
        segment: Its name; decides what is acted.
        frames: Number of frames.
        seed: With the name, decides timing, small movements and pose.
        rest_pose: (3, 4) pose about which the head moves.
        shown: All segments of the capture; the test segment mixes the peaks of the others.
    """
    rng = random_stream(seed, f"segment {segment}")
    numbers = _frame_numbers(frames, rng)
    seconds = (numbers - numbers[0]) / NUMBERS_PER_SECOND
    progress = (numbers - numbers[0]) / max(int(numbers[-1] - numbers[0]), 1)
    speech = None
    if is_sentence(segment):
        speech = Speech(float(seconds[-1]) + FRAME_STEP / NUMBERS_PER_SECOND, rng)
        tables = [speech.weights(time) for time in seconds]
    elif segment.startswith("GAZ"):
        tables = _gaze(gaze_target(segment), progress)
    elif segment == TEST_SEGMENT:
        tables = _range_of_motion(progress, shown, rng)
    else:
        tables = _peak(PEAKS[segment], progress)
    tables = _with_life(tables, seconds, rng)
    return Performance(segment, numbers, tuple(tables), _poses(seconds, rest_pose, rng), speech)


def _frame_numbers(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Numbers in steps of three; now and then some frames were dropped."""
    start = FRAME_STEP * int(rng.integers(20, 6000))
    dropped = np.where(rng.random(frames - 1) < 0.06, rng.integers(1, 4, frames - 1), 0)
    return start + FRAME_STEP * np.concatenate([[0], np.cumsum(1 + dropped)]).astype(np.int64)


def _peak(peak: dict[str, float], progress: np.ndarray) -> list[dict[str, float]]:
    """From rest to the peak, a moment there, and most of the way back."""
    level = smoothstep(0.0, 0.45, progress) * (1.0 - 0.85 * smoothstep(0.65, 1.0, progress))
    return [{name: float(weight * x) for name, weight in peak.items()} for x in level]


def _gaze(target: tuple[float, float], progress: np.ndarray) -> list[dict[str, float]]:
    level = 0.35 + 0.65 * smoothstep(0.0, 0.5, progress)
    return [look(target[0] * x, target[1] * x) for x in level]


def look(left: float, up: float) -> dict[str, float]:
    """Weights that turn both eyes; ``left`` > 0 towards the subject's left, ``up`` > 0 up, 1 = as far as the eyes go."""
    return {
        "eyeLookOut_L": max(left, 0.0),
        "eyeLookIn_L": max(-left, 0.0),
        "eyeLookIn_R": max(left, 0.0),
        "eyeLookOut_R": max(-left, 0.0),
        **{f"eyeLookUp_{side}": max(up, 0.0) for side in "LR"},
        **{f"eyeLookDown_{side}": max(-up, 0.0) for side in "LR"},
    }


def _range_of_motion(progress: np.ndarray, shown: tuple[str, ...], rng: np.random.Generator) -> list[dict[str, float]]:
    """A chain of the other segments' peaks, some of them two at a time."""
    peaks = [PEAKS[name] for name in shown if PEAKS.get(name)]
    if len(peaks) < 2:
        peaks = [peak for peak in PEAKS.values() if peak][:6]
    count = max(3, len(progress) // 8)
    keys: list[dict[str, float]] = [{}]
    for _ in range(count):
        first, second = (peaks[int(k)] for k in rng.choice(len(peaks), 2, replace=False))
        share = float(rng.choice([0.0, 0.25, 0.5]))
        strength = float(rng.uniform(0.65, 1.0))
        mixed = {name: strength * (1.0 - share) * weight for name, weight in first.items()}
        for name, weight in second.items():
            mixed[name] = mixed.get(name, 0.0) + strength * share * weight
        keys.append(mixed)
    names = sorted({name for key in keys for name in key})
    knots = np.linspace(0.0, 1.0, len(keys))
    if not names:
        return [{} for _ in progress]
    table = np.array([[key.get(name, 0.0) for name in names] for key in keys])
    curves = monotone_cubic(knots, table, progress)
    return [dict(zip(names, map(float, row))) for row in curves]


def _with_life(tables: list[dict[str, float]], seconds: np.ndarray, rng: np.random.Generator) -> list[dict[str, float]]:
    """Small unrest of face and gaze, and a blink every few seconds; nothing grows beyond full strength."""
    small = ("browInnerUp", "browOuterUp", "mouthSmile", "mouthPress", "eyeSquint", "cheekSquint")
    waves = {f"{name}_{side}": _wave(seconds, rng, 0.035) for name in small for side in "LR"}
    waves["jawOpen"] = np.abs(_wave(seconds, rng, 0.02))
    left, up = _wave(seconds, rng, 0.10), _wave(seconds, rng, 0.06)
    blinks = np.zeros(len(seconds))
    time = float(rng.uniform(0.1, 2.5))
    while time < seconds[-1]:
        blinks = np.maximum(blinks, np.exp(-(((seconds - time) / 0.075) ** 2)))
        time += float(rng.uniform(1.5, 4.0))
    out = []
    for k, table in enumerate(tables):
        table = dict(table)
        for name, wave in [*waves.items(), *((n, np.full(len(seconds), w)) for n, w in look(left[k], up[k]).items())]:
            table[name] = float(np.clip(table.get(name, 0.0) + wave[k], 0.0, 1.0))
        for side in "LR":
            closed = max(table.get(f"eyeBlink_{side}", 0.0), float(blinks[k]))
            out_of_the_way = 1.0 - closed  # a closing lid takes over from whatever else moves it
            for name in ("eyeWide", "eyeSquint", "eyeLookUp", "eyeLookDown"):
                key = f"{name}_{side}"
                table[key] = table.get(key, 0.0) * out_of_the_way
            table[f"eyeBlink_{side}"] = closed
        out.append(table)
    return out


def _poses(seconds: np.ndarray, rest_pose: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(N, 3, 4) poses a few degrees and millimetres about ``rest_pose``, changing slowly."""
    pitch, yaw, roll = (np.radians(_wave(seconds, rng, degrees, slow=True)) for degrees in (1.8, 2.6, 1.2))
    shift = np.stack([_wave(seconds, rng, 2.5, slow=True) for _ in range(3)], -1)
    out = np.empty((len(seconds), 3, 4))
    for k in range(len(seconds)):
        turn = _turn(pitch[k], yaw[k], roll[k])
        out[k, :, :3] = rest_pose[:, :3] @ turn
        out[k, :, 3] = rest_pose[:, 3] + rest_pose[:, :3] @ shift[k]
    return out


def _turn(pitch: float, yaw: float, roll: float) -> np.ndarray:
    cx, sx, cy, sy, cz, sz = np.cos(pitch), np.sin(pitch), np.cos(yaw), np.sin(yaw), np.cos(roll), np.sin(roll)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_y @ about_x @ about_z


def _wave(seconds: np.ndarray, rng: np.random.Generator, deviation: float, slow: bool = False) -> np.ndarray:
    """(N,) a smooth random curve of about this standard deviation: three sines of random speed and phase."""
    rates = rng.uniform(0.10, 0.45, 3) if slow else rng.uniform(0.3, 1.4, 3)
    phases = rng.uniform(0.0, 2.0 * np.pi, 3)
    amplitudes = rng.uniform(0.5, 1.0, 3)
    amplitudes *= deviation * np.sqrt(2.0) / np.linalg.norm(amplitudes)
    return (amplitudes * np.sin(2.0 * np.pi * rates * seconds[:, None] + phases)).sum(-1)
