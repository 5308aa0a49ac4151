"""Axes of charts: limits, ticks and their labels, linear or logarithmic."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Axis:
    """Maps values between ``low`` and ``high`` to 0..1.

    Attributes:
        low: Value at 0.
        high: Value at 1, above ``low``.
        log: Logarithmic; both limits are then above 0.
        ticks: Values that get a label.
    """

    low: float
    high: float
    log: bool
    ticks: tuple[float, ...]

    def place(self, values: np.ndarray) -> np.ndarray:
        """Positions of ``values``, 0 at ``low`` and 1 at ``high``."""
        if self.log:
            return np.log(np.asarray(values) / self.low) / math.log(self.high / self.low)
        return (np.asarray(values) - self.low) / (self.high - self.low)


def linear_axis(values: np.ndarray, *, ticks: int = 5, round_limits: bool = True) -> Axis:
    """An axis around finite ``values`` with about ``ticks`` ticks at 1, 2 or 5 times a power of ten."""
    low, high = _limits(values)
    step = _nice_step((high - low) / ticks)
    if round_limits:
        low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return Axis(low, high, False, tuple(k * step for k in range(first, last + 1)))


def log_axis(values: np.ndarray) -> Axis:
    """A logarithmic axis around the finite ``values``, all above 0; ticks at powers of ten, and between when few."""
    low, high = float(values.min()), float(values.max())
    if high / low < 1.2:
        low, high = low / 1.1, high * 1.1
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for multiples in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = tuple(m * 10.0**d for d in decades for m in multiples if low * 0.999 <= m * 10.0**d <= high * 1.001)
        if len(ticks) >= 3:
            break
    if len(ticks) < 2:  # less than about a factor of two: even steps say more
        ticks = linear_axis(np.array([low, high]), round_limits=False).ticks
    keep = max(1, math.ceil(len(ticks) / 7))
    return Axis(low, high, True, ticks[::keep])


def tick_label(value: float) -> str:
    """A short number: ``0.02``, ``15``, ``20k``, ``3e-6``."""
    if value == 0:
        return "0"
    size = abs(value)
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):.3g}{letter}"
    if size < 1e-3:
        mantissa, exponent = f"{value:.2e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}"


def _limits(values: np.ndarray) -> tuple[float, float]:
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-12 * max(abs(low), abs(high)):  # one value, or the same one everywhere
        reach = abs(low) / 2 or 1.0
        return low - reach, high + reach
    return low, high


def _nice_step(rough: float) -> float:
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
