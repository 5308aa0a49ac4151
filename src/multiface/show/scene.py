"""What ``multiface visualize`` works on: a model, and usually a capture, matched with each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from multiface.capture import AVERAGE, Capture, FrameKey, frame_order, read_frame_list
from multiface.core.errors import ArgumentError, CheckpointError
from multiface.core.memory import reuse_freed_memory
from multiface.data import Normalisation, Sample, check_test_segments
from multiface.evaluate.run import model_normalisation
from multiface.geometry import Topology
from multiface.models import FaceModel, check_matches, load_model
from multiface.show.choices import check_cameras, matching
from multiface.show.config import OF_A_CAPTURE, VisualizeConfig
from multiface.train.build import choose_device
from multiface.train.cameras import camera_table, require_rows
from multiface.train.setup import DataSetup, open_data
from multiface.train.step import ScreenSettings, Step


@dataclass
class Scene:
    """A model ready to be shown.

    Attributes:
        config: Options.
        device: Where the model is.
        model: The network, in evaluation mode; its weights stay as they are.
        normalisation: On the device.
        topology: Triangles and uv of its mesh.
        data: The capture and its splits, or None for a model alone.
        segments: Chosen segments and their chosen frames, in time order.
        cameras: Chosen cameras.
        notes: What the user should know.
    """

    config: VisualizeConfig
    device: torch.device
    model: FaceModel
    normalisation: Normalisation
    topology: Topology
    data: DataSetup | None
    segments: dict[str, tuple[FrameKey, ...]]
    cameras: tuple[str, ...]
    notes: list[str]

    @property
    def capture(self) -> Capture:
        """The capture.

        Raises:
            ArgumentError: there is none.
        """
        if self.data is None:
            raise ArgumentError("this needs a capture", remedy="Name its folder as the first word, or with --data_dir")
        return self.data.capture

    def step(self) -> Step:
        """Model and how it is fed with frames of the capture."""
        names = list(self.capture.calibrated)
        info = self.model.info
        table, unknown = camera_table(names, info.camera_names, info.n_cams)
        require_rows(table, names, self.cameras, info.n_cams)
        strangers = [name for name in self.cameras if name in unknown]
        if strangers:
            self.note(f"cameras the model does not know use the neutral colour correction: {', '.join(strangers)}")
        weight = None if self.data is None or self.data.weight is None else self.data.weight.to(self.device)
        return Step(
            self.model,
            self.normalisation,
            self.topology,
            table.to(self.device),
            ScreenSettings(self.config.interpolation, weight),
        )

    def samples(self, segment: str, camera: str, *, photo: bool, texture: bool) -> list[Sample]:
        """What of a segment can be shown, in time order: frames with average texture, mesh, head pose and what is asked."""
        capture = self.capture
        return [
            Sample(key, camera)
            for key in self.segments[segment]
            if has_frame(capture, key)
            and (not photo or capture.has_photo(key, camera))
            and (not texture or capture.has_texture(key, camera))
        ]

    def note(self, text: str) -> None:
        """Keep a note, once."""
        if text not in self.notes:
            self.notes.append(text)


def has_frame(capture: Capture, key: FrameKey) -> bool:
    """Whether a frame can be encoded: average texture, mesh and head pose are there."""
    return capture.has_texture(key, AVERAGE) and capture.has_mesh(key) and capture.has_head_pose(key)


def open_scene(config: VisualizeConfig) -> Scene:
    """Open model and capture and match them.

    Raises:
        MultifaceError: no model, options that do not fit it or each other, unknown segments or cameras.
    """
    if config.model_path is None:
        raise ArgumentError("no model was given", expected="--model_path FILE", remedy="Train one with `multiface train`")
    _check_kinds(config)
    device = choose_device(config.device)
    model = load_model(config.model_path)
    _check(model, config)
    data = None if config.data_dir is None else open_data(config, photos="comparison" in config.kinds)
    segments = {} if data is None else choose_segments(data, config)
    cameras = () if data is None else choose_cameras(data, config.cameras)
    if device.type == "cpu":
        reuse_freed_memory()
    model = model.to(device, memory_format=torch.channels_last).eval()  # pyright: ignore[reportCallIssue]  (not in the stubs)
    return Scene(
        config,
        device,
        model,
        _normalisation(model, data, config).to(device),
        _topology(model, data, config),
        data,
        segments,
        cameras,
        [],
    )


def _check_kinds(config: VisualizeConfig) -> None:
    """Options that name something have to go with what is shown: none of them is passed over in silence."""
    of_capture = [kind for kind in config.kinds if kind in OF_A_CAPTURE]
    if of_capture and config.data_dir is None:
        raise ArgumentError(
            f"--show {' '.join(of_capture)} needs a capture to compare with",
            remedy="Name its folder as the first word, or show the model alone: --show turntable",
        )
    named = [f"--{name}" for name in ("segments", "cameras", "frames") if getattr(config, name)]
    if named and config.data_dir is None:
        raise ArgumentError(
            f"{', '.join(named)} can only be chosen from a capture, and none was given",
            remedy="Name its folder as the first word, or leave them out: the model is then shown alone",
        )
    if "path" in config.kinds and config.camera_path is None and config.data_dir is None:
        raise ArgumentError(
            "there is no camera path", expected="--camera_path FILE, or a capture whose cameras are followed", found="neither"
        )
    if config.frames and "walk" not in config.kinds:
        raise ArgumentError(
            "--frames are the expressions of a latent walk, and none is shown",
            remedy="Add walk to --show, or choose what to show with --segments",
        )
    if config.camera_path is not None and "path" not in config.kinds:
        raise ArgumentError("--camera_path was given, and no camera path is shown", remedy="Add path to --show")


def choose_segments(data: DataSetup, config: VisualizeConfig) -> dict[str, tuple[FrameKey, ...]]:
    """The segments asked for (by name or beginning), else the test segments, each with its frames in time order.

    Raises:
        CaptureError: a name fits no segment; it says which ones are nearest.
    """
    listed = data.capture.frames if config.framelist_test is None else read_frame_list(config.framelist_test)
    by_segment: dict[str, list[FrameKey]] = {}
    for key in dict.fromkeys(listed):
        by_segment.setdefault(key.segment, []).append(key)
    if config.segments:
        chosen = dict.fromkeys(name for wanted in config.segments for name in matching(wanted, list(by_segment), data.capture))
    else:
        check_test_segments(data.prefixes, by_segment, where=config.test_segment_config or data.capture.path)
        chosen = dict.fromkeys(name for name in by_segment if name.startswith(data.prefixes))
    return {name: tuple(sorted(by_segment[name], key=lambda key: frame_order(key.frame))) for name in chosen}


def choose_cameras(data: DataSetup, wanted: Sequence[str]) -> tuple[str, ...]:
    """The cameras asked for, else the visual ones of the split.

    Raises:
        CaptureError: a name is not in KRT; it says which ones are nearest.
    """
    check_cameras(data.capture, wanted)
    return tuple(dict.fromkeys(wanted)) or data.split.visual


def _check(model: FaceModel, config: VisualizeConfig) -> None:
    check_matches(
        model.info,
        arch=config.arch,
        tex_size=config.tex_size,
        nlatent=config.nlatent,
        mesh_inp_size=config.mesh_inp_size,
        where=config.model_path,
    )
    if "warp" in config.kinds and model.warp is None:
        raise CheckpointError(
            "the model has no warp field to draw",
            where=config.model_path,
            expected="architecture warp",
            found=model.arch,
            remedy="Leave warp out of --show",
        )


def _normalisation(model: FaceModel, data: DataSetup | None, config: VisualizeConfig) -> Normalisation:
    if data is not None:
        return model_normalisation(model, data)
    if model.info.statistics is None:
        raise _needs_capture("statistics to undo the normalisation with", config)
    return Normalisation.from_state(dict(model.info.statistics))


def _topology(model: FaceModel, data: DataSetup | None, config: VisualizeConfig) -> Topology:
    if data is not None:
        return data.topology
    if model.info.topology is None:
        raise _needs_capture("topology", config)
    return model.info.topology


def _needs_capture(what: str, config: VisualizeConfig) -> CheckpointError:
    return CheckpointError(
        f"the model carries no {what} (published checkpoints do not)",
        where=config.model_path,
        remedy="Name a capture of the same person as the first word; its statistics and topology are used",
    )
