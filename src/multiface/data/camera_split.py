"""Which cameras are trained on, tested on and shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from multiface.capture import Capture
from multiface.core.errors import CaptureError, FormatError
from multiface.data.test_segments import nearest_names, read_json

SPLIT_FOLDER = Path("camera_configs")
"""Where the published commands look for split files, relative to the working directory."""


@dataclass(frozen=True)
class CameraSplit:
    """Camera names of each role; a camera may have several.

    Attributes:
        train: Cameras trained on.
        test: Cameras tested on.
        visual: Cameras shown in pictures and videos.
        source: Where the split comes from, for reports: a file, or "the capture's textures".
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    visual: tuple[str, ...]
    source: str

    @property
    def used(self) -> tuple[str, ...]:
        """Union of the training and test cameras, training cameras first."""
        return tuple(dict.fromkeys(self.train + self.test))


def split_path(capture: Capture) -> Path | None:
    """Where the published commands expect the split file of this capture; None for one without an entity."""
    return None if capture.entity is None else SPLIT_FOLDER / f"camera-split-config_{capture.entity}.json"


def load_camera_split(capture: Capture, config: str | Path | None = None, setting: str = "full") -> CameraSplit:
    """Camera split of a capture.

    Args:
        capture: The capture; its KRT says which cameras there are.
        config: JSON file ``{"full": {"train": [names], "test": [names], "visual": [names]}}``, or the inner object alone.
            When absent, the file at :func:`split_path` is taken if there is one; else the split is derived: all
            cameras that have textures train and test, the first two of them are shown.
        setting: Key of the settings level.

    Raises:
        FormatError: the file is not such a JSON, or has no such setting.
        CaptureError: the file names cameras that KRT lacks, or no camera has any texture.
    """
    if config is None:
        usual = split_path(capture)
        if usual is None or not usual.is_file():
            return derive_camera_split(capture)
        config = usual
    roles = _setting(read_json(config, purpose="a camera-split file"), setting, config)
    train, test = (_names(roles, role, config) for role in ("train", "test"))
    visual = _names(roles, "visual", config) if "visual" in roles else (test or train)[:2]
    split = CameraSplit(train=train, test=test, visual=visual, source=str(config))
    _check_known(capture, split)
    return split


def derive_camera_split(capture: Capture) -> CameraSplit:
    """The split of a capture without a split file: all cameras of KRT that have a texture in any segment, in KRT order.

    Raises:
        CaptureError: no camera has any texture.
    """
    capture.read_listings(capture.segments, capture.calibrated, photos=False)
    cameras = tuple(name for name in capture.calibrated if any(capture.has_texture(key, name) for key in capture.frames))
    if not cameras:
        raise CaptureError(
            "no camera of KRT has any texture",
            where=capture.path,
            remedy=f"Make the textures with: multiface unwrap {capture.path}",
        )
    return CameraSplit(train=cameras, test=cameras, visual=cameras[:2], source="the capture's textures")


def _setting(content: object, setting: str, where: str | Path) -> Mapping[str, object]:
    if isinstance(content, dict):
        inner = content.get(setting)
        if isinstance(inner, dict):
            return inner
        if inner is None and isinstance(content.get("train"), list):
            return content
    found = ", ".join(map(str, content)) if isinstance(content, dict) else type(content).__name__
    raise FormatError(
        f"a camera-split file has no setting '{setting}'",
        where=where,
        expected=f'{{"{setting}": {{"train": [...], "test": [...]}}}}',
        found=found or "an empty object",
    )


def _names(roles: Mapping[str, object], role: str, where: str | Path) -> tuple[str, ...]:
    names = roles.get(role)
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FormatError(f"a camera-split file needs a list of camera names under '{role}'", where=where, found=names)
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise FormatError(f"a camera-split file names cameras twice under '{role}'", where=where, found=", ".join(repeated))
    return tuple(names)


def _check_known(capture: Capture, split: CameraSplit) -> None:
    unknown = [name for name in dict.fromkeys(split.used + split.visual) if name not in capture.cameras]
    if unknown:
        raise CaptureError(
            f"a camera-split file names cameras that the capture's KRT lacks: {', '.join(unknown)}",
            where=split.source,
            expected=f"some of the {len(capture.cameras)} cameras of {capture.path}",
            found=f"nearest {', '.join(nearest_names(unknown, capture.cameras))}" if capture.cameras else "no cameras",
            remedy="Take them out of the split file, or use the split file of this capture",
        )
