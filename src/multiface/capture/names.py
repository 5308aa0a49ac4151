"""Names in a capture: frames, segments, cameras, entities, and which of them may become part of a path."""

from __future__ import annotations

import re
from typing import NamedTuple

AVERAGE = "average"
"""Name of the folder of camera-averaged textures; no camera may be called so."""

_UNSAFE = re.compile(r"[/\\:\x00-\x1f\x7f]")
_PEAK_EXPRESSION = re.compile(r"E\d{3}_")


class FrameKey(NamedTuple):
    """One captured moment; ``str()`` gives ``"segment/frame"``."""

    segment: str
    frame: str

    def __str__(self) -> str:
        return f"{self.segment}/{self.frame}"


def is_safe_name(name: str) -> bool:
    """Whether ``name`` can be one component of a path below the capture, on any system: no separators, not ``..``."""
    return bool(name) and name.strip(". ") != "" and len(name) <= 200 and not _UNSAFE.search(name)


def frame_order(frame: str) -> tuple[int, int, str]:
    """Sort key: decimal frame names by their number, any others after them by name."""
    if frame.isascii() and frame.isdigit() and len(frame) <= 18:
        return 0, int(frame), frame
    return 1, 0, frame


def segment_kind(segment: str) -> str:
    """``"E"`` (peak expression), ``"EXP"`` (expression), ``"GAZ"`` (gaze), ``"SEN"`` (sentence) or ``"other"``."""
    if _PEAK_EXPRESSION.match(segment):
        return "E"
    prefix = segment.split("_", 1)[0]
    return prefix if prefix in ("EXP", "GAZ", "SEN") else "other"


def entity_of(folder_name: str) -> str | None:
    """Entity id in a published folder name (``m--20180227--0000--6795937--GHS`` -> ``"6795937"``), ``None`` without ``--``."""
    parts = folder_name.split("--")
    return parts[-2] if len(parts) > 1 else None
