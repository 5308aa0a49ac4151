"""A voice-like sound and the lips that go with it: syllables of vowels and hisses, shared by ear and eye."""

from __future__ import annotations

import numba
import numpy as np

from multiface.prepare.stage.splines import smoothstep

SAMPLE_RATE = 48000
# Vowel: its first three formants in Hz (Peterson and Barney, J. Acoust. Soc. Am. 24, 1952) and how the mouth looks.
_VOWELS: list[tuple[tuple[int, int, int], dict[str, float]]] = [
    ((730, 1090, 2440), {"jawOpen": 0.55, "mouthLowerDown_L": 0.2, "mouthLowerDown_R": 0.2}),  # father
    ((530, 1840, 2480), {"jawOpen": 0.32, "mouthStretch_L": 0.25, "mouthStretch_R": 0.25}),  # bet
    (
        (270, 2290, 3010),
        {"jawOpen": 0.14, "mouthStretch_L": 0.45, "mouthStretch_R": 0.45, "mouthSmile_L": 0.2, "mouthSmile_R": 0.2},
    ),
    ((300, 870, 2240), {"jawOpen": 0.14, "mouthPucker": 0.65, "mouthFunnel": 0.2}),  # boot
    ((570, 840, 2410), {"jawOpen": 0.36, "mouthFunnel": 0.6}),  # bought
]


class Speech:
    """Syllables over ``duration`` seconds, drawn from ``rng``."""

    def __init__(self, duration: float, rng: np.random.Generator) -> None:
        self.duration = duration
        starts, time = [], float(rng.uniform(0.02, 0.10))
        while time < duration:
            starts.append(time)
            time += float(rng.uniform(0.17, 0.30)) + (float(rng.uniform(0.1, 0.3)) if rng.random() < 0.12 else 0.0)
        self._starts = np.array(starts or [0.0])
        self._lengths = rng.uniform(0.13, 0.24, len(self._starts))
        self._vowels = rng.integers(0, len(_VOWELS), len(self._starts))
        self._loudness = rng.uniform(0.65, 1.0, len(self._starts))
        self._hisses = rng.random(len(self._starts)) < 0.5
        self._pitch = float(rng.uniform(95.0, 185.0))
        self._noise_seed = int(rng.integers(0, 2**31))

    def weights(self, time: float) -> dict[str, float]:
        """Expression weights at ``time`` seconds: the current vowels by loudness, lips pressed between syllables."""
        out: dict[str, float] = {}
        level = self._envelopes(np.array([time]))[:, 0]
        for strength, vowel in zip(level, self._vowels):
            for name, weight in _VOWELS[vowel][1].items():
                out[name] = out.get(name, 0.0) + float(strength) * weight
        closed = float(np.clip(1.0 - 2.5 * level.max(), 0.0, 1.0))
        for side in "LR":
            out[f"mouthPress_{side}"] = 0.3 * closed
        return out

    def sound(self) -> np.ndarray:
        """(n,) int16 samples at :data:`SAMPLE_RATE`, as long as the speech."""
        count = round(self.duration * SAMPLE_RATE)
        time = np.arange(count) / SAMPLE_RATE
        envelopes = self._envelopes(time)
        noise = np.random.Generator(np.random.PCG64(self._noise_seed)).normal(size=count)
        pitch = self._pitch * (1.08 - 0.16 * time / max(self.duration, 1e-6) + 0.05 * np.sin(2 * np.pi * 2.3 * time))
        phase = np.cumsum(pitch) / SAMPLE_RATE
        pulses = (phase % 1.0) ** 2 - 1.0 / 3.0 + 0.02 * noise
        voice = np.zeros(count)
        for vowel, (formants, _) in enumerate(_VOWELS):
            level = envelopes[self._vowels == vowel].sum(0) if (self._vowels == vowel).any() else np.zeros(count)
            if level.any():
                vowel_sound = _resonate(pulses * level, np.array(formants, np.float64), SAMPLE_RATE)
                voice += vowel_sound * (level.max() / np.abs(vowel_sound).max())  # all vowels equally loud
        hiss = np.diff(noise, prepend=0.0) * self._hiss_level(time)
        sound = voice / max(float(np.abs(voice).max()), 1e-9) + 0.05 * hiss
        return np.rint(9000.0 * np.clip(sound, -3.0, 3.0)).astype(np.int16)

    def _envelopes(self, time: np.ndarray) -> np.ndarray:
        """(S, n) loudness of every syllable at ``time`` (n,)."""
        since = time[None, :] - self._starts[:, None]
        lengths = self._lengths[:, None]
        return self._loudness[:, None] * smoothstep(0.0, 0.06, since) * smoothstep(0.0, 0.09, lengths + 0.06 - since)

    def _hiss_level(self, time: np.ndarray) -> np.ndarray:
        before = time[None, :] - self._starts[:, None] + 0.03
        return (np.exp(-((before / 0.025) ** 2)) * self._hisses[:, None]).sum(0)


@numba.njit(cache=True, nogil=True)
def _resonate(source, formants, rate):
    """Sum of two-pole resonators at the formants, with bandwidths that grow with frequency."""
    out = np.zeros(len(source))
    for k in range(len(formants)):
        radius = np.exp(-np.pi * (50.0 + 0.05 * formants[k]) / rate)
        a1, a2 = 2.0 * radius * np.cos(2.0 * np.pi * formants[k] / rate), -radius * radius
        y1, y2 = 0.0, 0.0
        for n in range(len(source)):
            y = (1.0 - radius) * source[n] + a1 * y1 + a2 * y2
            out[n] += y * 0.6**k
            y2, y1 = y1, y
    return out
