"""Compiling kernels: one specialisation each, kept on disk where possible, running without the interpreter lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numba

# Division by zero gives infinity as in NumPy: a check per division would keep loops from being vectorised.
_OPTIONS = {"nogil": True, "error_model": "numpy"}


def kernel(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` compiled on first call for the types of that call."""
    try:
        return numba.njit(cache=True, **_OPTIONS)(function)
    except RuntimeError:  # neither beside the source nor in the user's cache is there a folder to write to
        return numba.njit(**_OPTIONS)(function)


def inlined(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` compiled for use within kernels of the same file."""
    return numba.njit(**_OPTIONS)(function)
