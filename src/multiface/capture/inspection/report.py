"""What an inspection finds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from multiface.core.errors import MultifaceError


class Problem(NamedTuple):
    """One thing that is wrong."""

    file: str
    """Path below the capture folder, with ``/``."""
    what: str


class Gap(NamedTuple):
    """Frames left out within a segment; the release has such gaps, so this is no problem by itself."""

    segment: str
    after: str
    before: str
    missing: int


@dataclass
class SegmentSummary:
    """One segment.

    Attributes:
        kind: ``"E"``, ``"EXP"``, ``"GAZ"``, ``"SEN"`` or ``"other"``.
        frames: Number of frames.
        first, last: Lowest and highest frame.
        step: Usual difference of successive frame numbers, ``None`` with under two numbered frames.
        gaps: Number of gaps.
        photos, textures, averages: Numbers of pictures there, by name.
        audio_seconds: Length of its sound, ``None`` without.
    """

    kind: str
    frames: int
    first: str
    last: str
    step: int | None
    gaps: int
    photos: int = 0
    textures: int = 0
    averages: int = 0
    audio_seconds: float | None = None


@dataclass
class InspectionReport:
    """Content and problems of a capture.

    Attributes:
        path: The capture folder.
        entity: Id of the person, if the folder name tells.
        quick: Whether only names, sizes and headers were looked at.
        frames: Number of frames.
        segments: Segment -> number of frames.
        cameras: Names in KRT order.
        details: Segment -> summary.
        gaps: All gaps in frame numbers.
        sizes: ``photos`` and ``textures``: (height, width) -> number of files; ``vertices``, ``triangles``: numbers.
        texture_sizes: T of every ``unwrapped_uv_<T>`` folder.
        audio: Segment -> seconds, rate in Hz and channels.
        problems: What is wrong, sorted by file.
    """

    path: Path
    entity: str | None
    quick: bool
    frames: int = 0
    segments: dict[str, int] = field(default_factory=dict)
    cameras: list[str] = field(default_factory=list)
    details: dict[str, SegmentSummary] = field(default_factory=dict)
    gaps: list[Gap] = field(default_factory=list)
    sizes: dict[str, Any] = field(default_factory=dict)
    texture_sizes: list[int] = field(default_factory=list)
    audio: dict[str, dict[str, float]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def add(self, path: Path, what: str | MultifaceError) -> None:
        """Note one problem about ``path``."""
        text = what if isinstance(what, str) else describe(what)
        self.problems.append(Problem(self._relative(path), text))

    def _relative(self, path: Path) -> str:
        return path.relative_to(self.path).as_posix() if path.is_relative_to(self.path) else str(path)

    def to_json(self) -> dict[str, Any]:
        """Plain types only; ``frames`` and ``cameras`` are counts, sizes are ``[height, width]``."""
        return {
            "capture": str(self.path),
            "entity": self.entity,
            "mode": "quick" if self.quick else "full",
            "frames": self.frames,
            "segments": self.segments,
            "cameras": len(self.cameras),
            "camera_names": list(self.cameras),
            "details": {name: asdict(summary) for name, summary in self.details.items()},
            "gaps": [gap._asdict() for gap in self.gaps],
            "sizes": {
                "photos": _size_list(self.sizes.get("photos", {})),
                "textures": _size_list(self.sizes.get("textures", {})),
                "vertices": self.sizes.get("vertices"),
                "triangles": self.sizes.get("triangles"),
            },
            "texture_sizes": self.texture_sizes,
            "audio": self.audio,
            "problems": [problem._asdict() for problem in self.problems],
        }


def _size_list(sizes: dict[tuple[int, int], int]) -> list[dict[str, Any]]:
    return [{"size": list(size), "files": files} for size, files in sorted(sizes.items())]


def describe(error: MultifaceError) -> str:
    """An error as a problem: without the path, which the problem has already, but with the line."""
    _, comma, line = (error.where or "").rpartition(", line ")
    details = [f"{word} {value}" for word, value in (("expected", error.expected), ("found", error.found)) if value is not None]
    text = f"{error.what} ({', '.join(details)})" if details else error.what
    return f"line {line}: {text}" if comma else text


def some(names: Iterable[str], limit: int = 3) -> str:
    """The first few of ``names`` in one line."""
    listed = list(names)
    return ", ".join(listed[:limit]) + (f" and {len(listed) - limit} more" if len(listed) > limit else "")
