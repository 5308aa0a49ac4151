"""What to film: the options of ``multiface synth``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from multiface.core.errors import ArgumentError
from multiface.prepare.stage.rig import CAMERA_NAMES
from multiface.prepare.stage.segments import SEGMENT_COUNT


@dataclass(frozen=True)
class StageConfig:
    """A capture to be filmed on the virtual stage.

    Raises:
        ArgumentError: a number is out of range, or files of an own head are missing.
    """

    segments: int = 5
    """Number of segments; the test segment EXP_ROM07_Facial_Expressions is always among them."""

    frames_per_segment: int = 12
    """Frames in each segment."""

    n_cameras: int = 8
    """Number of cameras: 1 to 40, or as many as --calibration has."""

    image_size: tuple[int, int] = (256, 167)
    """Height and width of the photos in pixels."""

    tex_size: int = 256
    """Texels along each side of the unwrapped textures."""

    seed: int = 0
    """Decides the person, the rig and everything that happens; the same seed gives the same bytes."""

    mesh: Path | None = None
    """Film this head instead of a procedural one: its vertices (.bin), millimetres, head space."""

    topology: Path | None = None
    """Triangles and uv (.obj) of --mesh."""

    texture: Path | None = None
    """Picture of its skin in camera colours, rows as in a capture's textures."""

    expressions: Path | None = None
    """Its expressions (.npz with names (E,), deltas (E, V, 3) and optionally neutral (V, 3), which then replaces --mesh)."""

    calibration: Path | None = None
    """Cameras (KRT for 1334 x 2048 photos) instead of the stage's own rig."""

    pose: Path | None = None
    """Pose about which the head moves (3 x 4 text, head to world); by default where the cameras look."""

    def __post_init__(self) -> None:
        most = len(CAMERA_NAMES) if self.calibration is None else 10_000
        _check("--segments", self.segments, 1, SEGMENT_COUNT)
        _check("--frames-per-segment", self.frames_per_segment, 1, 100_000)
        _check("--n-cameras", self.n_cameras, 1, most)
        _check("--tex-size", self.tex_size, 16, 8192)
        _check("--seed", self.seed, 0, 2**63 - 1)
        for value in self.image_size:
            _check("--image-size", value, 16, 8192)
        given = {"--mesh": self.mesh, "--topology": self.topology, "--texture": self.texture}
        missing = [name for name, path in given.items() if path is None]
        if missing and len(missing) < len(given):
            raise ArgumentError(
                "an own head needs --mesh, --topology and --texture together", found=f"no {' and no '.join(missing)}"
            )
        if missing and self.expressions is not None:
            raise ArgumentError("--expressions belongs to an own head", remedy="Give --mesh, --topology and --texture too")

    @property
    def own_head(self) -> bool:
        """Whether a person's own head is filmed."""
        return self.mesh is not None


def _check(option: str, value: int, low: int, high: int) -> None:
    if not low <= value <= high:
        raise ArgumentError(f"{option} is out of range", expected=f"{low} to {high}", found=value)
