"""Options of ``multiface visualize`` and ``multiface show``. ``--help`` needs no PyTorch for them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multiface.core.errors import ArgumentError
from multiface.train.config import Architecture, DataOptions

Kind = Literal["comparison", "uv", "warp", "turntable", "path", "walk"]
OF_A_CAPTURE: tuple[Kind, ...] = ("comparison", "uv", "warp")
OF_A_MODEL: tuple[Kind, ...] = ("turntable", "path", "walk")


@dataclass(frozen=True, kw_only=True)
class VisualizeConfig(DataOptions):
    """Options of ``multiface visualize``."""

    model_path: Path | None = None
    """Checkpoint to show, ours or published."""
    show: tuple[Kind, ...] = ()
    """What to make. With a capture: comparison (photo, prediction, difference), uv (textures), warp (the field of warp models).
    With or without one: turntable, path (a camera path), walk (between expressions). Default: comparison with a capture, else
    turntable."""
    segments: tuple[str, ...] = ()
    """Segments to show, whole names or beginnings; those of --test_segment_config when absent."""
    cameras: tuple[str, ...] = ()
    """Cameras to show; the visual cameras of --camera_config when absent."""
    frames: tuple[str, ...] = ()
    """Expressions of a latent walk, as SEGMENT/FRAME; the strongest one of each segment when absent."""
    stills: int = 0
    """Also write the single pictures (gt, pred and diff; model and geometry) of every N-th frame; 0 for none."""
    save_video: str = "True"
    """False writes the pictures of every frame instead of videos."""
    scale: float = 32.0
    """Difference (of 255, linear) that gets the brightest colour; the same in all pictures and videos."""
    fps: float = 30.0
    """Frames per second; videos with sound always have 30."""
    seconds: float = 8.0
    """Length of turntables, camera paths and latent walks."""
    degrees: float = 110.0
    """A turntable swings over this angle; 360 goes all the way round."""
    camera_path: Path | None = None
    """Camera path: JSON list of {"yaw": degrees, "pitch": degrees, "distance": mm}; along the capture's cameras when absent."""
    quality: int = 20
    """Constant rate factor of H.264, 0 (lossless) to 51."""
    preset: str = "veryfast"
    """Speed of the H.264 encoder, ultrafast to veryslow."""
    page: bool = True
    """Write index.html with everything; --no-page leaves it out."""
    result_path: Path = Path("runs/visualize")
    """Folder for videos, pictures and the page."""
    arch: Architecture | None = None
    """Checked against the checkpoint when given."""
    nlatent: int | None = None
    """Checked against the checkpoint when given."""
    seed: int = 0
    """Seed of the expressions of a latent walk without a capture."""
    lambda_screen: float = 1.0
    """Accepted as published; pictures are always rendered."""
    lr: float = 3e-4
    """Accepted as published; nothing is fitted."""
    max_iter: int = 0
    """Accepted as published; unused."""
    log_every: int = 0
    """Accepted as published; unused."""
    val_every: int = 0
    """Accepted as published; unused."""
    pass_thres: float = 50.0
    """Accepted as published; unused."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.save_video.lower() not in _WORDS:
            raise ArgumentError("--save_video is neither yes nor no", expected="True or False", found=self.save_video)
        for name in ("scale", "fps", "seconds", "degrees"):
            if not 0 < getattr(self, name) < float("inf"):
                raise ArgumentError(f"--{name} must be above 0", found=getattr(self, name))
        if self.fps > 1000:
            raise ArgumentError("--fps is too high", expected="at most 1000", found=self.fps)
        if not 0 <= self.quality <= 51:
            raise ArgumentError("--quality is out of range", expected="0 to 51", found=self.quality)
        if self.preset not in PRESETS:
            raise ArgumentError("--preset is unknown", expected=", ".join(PRESETS), found=self.preset)
        if self.stills < 0:
            raise ArgumentError("--stills must not be negative", found=self.stills)

    @property
    def videos(self) -> bool:
        """Whether videos are written."""
        return _WORDS[self.save_video.lower()]

    @property
    def still_every(self) -> int:
        """Pictures of every how many frames are written; 0 for none."""
        return self.stills if self.videos else max(self.stills, 1)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """What to make, each once."""
        default: Kind = "turntable" if self.data_dir is None else "comparison"
        return tuple(dict.fromkeys(self.show)) or (default,)


PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_WORDS = {"true": True, "yes": True, "1": True, "on": True, "false": False, "no": False, "0": False, "off": False}


@dataclass(frozen=True, kw_only=True)
class ShowConfig:
    """Options of ``multiface show``."""

    capture: Path | None = None
    """Capture folder; may also be given as the first word."""
    frame: str | None = None
    """SEGMENT/FRAME to show; the middle frame of the first segment when absent."""
    out: Path = Path("shown")
    """Folder for the page and the pictures."""
    cameras: tuple[str, ...] = ()
    """Only these cameras; all that have a photo of the frame when absent."""
    krt: Path | None = None
    """Calibration file to try instead of the capture's own."""
    width: int = 1000
    """Width of the pictures inside the page, pixels; the PNG files beside it keep the size of the photos."""
    json: bool = False
    """Print the numbers as one JSON object on the last line of stdout."""

    def __post_init__(self) -> None:
        if not 64 <= self.width <= 8192:
            raise ArgumentError("--width is out of range", expected="64 to 8192", found=self.width)
