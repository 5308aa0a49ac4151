"""What every video of ``multiface visualize`` has in common: its file, its encoder, what is known of it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from multiface.core.lazy import optional_import
from multiface.show.config import Kind, VisualizeConfig
from multiface.show.encoding import EncodingThread
from multiface.show.video import INSTALL, VideoWriter, find_encoder

Progress = Callable[[str, int, int], None]
"""Called with (what is being made, frames done, frames in all)."""


@dataclass
class Film:
    """A video that was made, and what was measured on the way.

    Attributes:
        kind: As in ``--show``.
        title: What it shows.
        path: The file; None when only pictures were written.
        segment, camera: Where its frames come from; empty for videos of the model alone.
        pictures: Frames of the capture (or of the path) that it shows.
        frames: Frames of the video; more than ``pictures`` where dropped ones are held.
        fps: Frames per second.
        sound: Whether it has the segment's sound.
        left_out: Frames that could not be read.
        psnr: Per picture, dB inside the mask, linear; comparisons only.
        example: (truth, prediction) of the middle picture, uint8 display colours; comparisons only.
    """

    kind: Kind
    title: str
    path: Path | None
    segment: str = ""
    camera: str = ""
    pictures: int = 0
    frames: int = 0
    fps: float = 0.0
    sound: bool = False
    left_out: int = 0
    psnr: list[float] = field(default_factory=list)
    example: tuple[np.ndarray, np.ndarray] | None = None

    @property
    def mean_psnr(self) -> float | None:
        """Mean over the pictures in which there was something to compare; None where there was nothing."""
        values = [value for value in self.psnr if np.isfinite(value)]
        return float(np.mean(values)) if values else None

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the pictures."""
        names = ("kind", "segment", "camera", "pictures", "frames", "fps", "sound", "left_out")
        values = {name: getattr(self, name) for name in names}
        return {**values, "path": None if self.path is None else str(self.path), "psnr": self.mean_psnr}


def start_film(film: Film, config: VisualizeConfig, audio: tuple[np.ndarray, int] | None = None) -> EncodingThread:
    """The encoder of a film, in a thread."""
    if film.path is None:
        raise ValueError("a film without a file cannot be encoded")
    writer = VideoWriter(film.path, fps=film.fps, crf=config.quality, preset=config.preset, audio=audio)
    return EncodingThread(writer)


def require_encoder() -> None:
    """Find out before any work whether videos can be written.

    Raises:
        DependencyError: PyAV is missing or has no H.264 encoder.
    """
    find_encoder(optional_import("av", purpose="writing MP4 videos", install=INSTALL))
