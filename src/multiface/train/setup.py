"""From options to data: the capture, who is trained and tested on what, and how it is normalised and compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from multiface.capture import Capture, FrameKey, read_frame_list, read_image
from multiface.core.errors import ArgumentError, CaptureError
from multiface.data import (
    BatchLoader,
    CameraSplit,
    Normalisation,
    SampleIndex,
    build_index,
    check_test_segments,
    load_camera_split,
    read_test_segments,
    require_samples,
)
from multiface.geometry import Topology, flip_rows
from multiface.models import TEXTURE_SIZES
from multiface.train.config import DataOptions


@dataclass
class DataSetup:
    """The data side of a run.

    Attributes:
        capture: The capture.
        split: Camera names for training, testing and showing.
        prefixes: Prefixes of the test segments.
        picture_size: (height, width) at which pictures are compared; None when no photos are read.
        weight: (1 or 3, h, w) weight image, 0..1, row 0 at v = 0, or None for the same weight everywhere.
        options: Where all this came from.
    """

    capture: Capture
    split: CameraSplit
    prefixes: tuple[str, ...]
    picture_size: tuple[int, int] | None
    weight: torch.Tensor | None
    options: DataOptions

    @property
    def topology(self) -> Topology:
        return self.capture.topology

    def train_index(self, frame_list: Path | None) -> SampleIndex:
        """Samples outside the test segments, over the training cameras."""
        index = build_index(
            self.capture,
            self._frames(frame_list),
            self.split.train,
            exclude=self.prefixes,
            need_photo=self.picture_size is not None,
        )
        return require_samples(index, "training")

    def test_index(self) -> SampleIndex:
        """Samples of the test segments, over the test cameras."""
        frames = self._frames(self.options.framelist_test)
        where = self.options.test_segment_config or self.capture.path
        check_test_segments(self.prefixes, [key.segment for key in frames], where=where)
        index = build_index(self.capture, frames, self.split.test, only=self.prefixes, need_photo=self.picture_size is not None)
        return require_samples(index, "testing", prefixes=self.prefixes)

    def loader(
        self,
        index: SampleIndex,
        batch_size: int,
        *,
        shuffle: bool,
        seed: int = 0,
        views_per_frame: int = 1,
        rank: int = 0,
        world_size: int = 1,
        shared: bool = False,
        processes: int | None = 0,
    ) -> BatchLoader:
        """Batches of ``index`` with photos when pictures are compared; the rest as for the loader."""
        return BatchLoader(
            self.capture,
            index,
            batch_size,
            photo_size=self.picture_size,
            shuffle=shuffle,
            seed=seed,
            workers=self.options.n_worker,
            views_per_frame=views_per_frame,
            drop_broken=self.options.drop_broken,
            cache_bytes=int(self.options.cache_gb * 1e9),
            rank=rank,
            world_size=world_size,
            shared=shared,
            processes=processes,
        )

    def _frames(self, path: Path | None) -> Sequence[FrameKey]:
        return self.capture.frames if path is None else read_frame_list(path)


def open_data(options: DataOptions, *, photos: bool) -> DataSetup:
    """Open the capture that ``options`` name and settle everything that does not need the network.

    Args:
        options: Options of train or test.
        photos: Whether pictures will be compared, so photos are needed.

    Raises:
        MultifaceError: the capture, a list, a mask or a size does not fit; the message says which and what to do.
    """
    if options.data_dir is None:
        raise ArgumentError("no capture was given", remedy="Name its folder: --data_dir FOLDER, or as the first word")
    capture = Capture(options.data_dir, krt=options.krt_dir)
    run = getattr(options, "resume", None) or getattr(options, "result_path", None)
    if run is not None:
        capture.listing.use_folder(run)  # where the user's cache folder cannot be written, it was kept there
    check_mesh_size(capture, options.mesh_inp_size)
    return DataSetup(
        capture=capture,
        split=load_camera_split(capture, options.camera_config, options.camera_setting),
        prefixes=read_test_segments(options.test_segment_config),
        picture_size=choose_picture_size(capture, options.resolution) if photos else None,
        weight=read_weight(capture, options.loss_weight_mask) if photos else None,
        options=options,
    )


def choose_texture_size(capture: Capture, asked: int | None) -> int:
    """The model's texture size: what was asked for, else the capture's, else the next smaller one that networks have."""
    if asked is not None:
        if asked not in TEXTURE_SIZES:
            raise ArgumentError("--tex_size is not a size networks have", expected=_listed(TEXTURE_SIZES), found=asked)
        return asked
    there = capture.texture_size
    if there is None:
        raise CaptureError(
            "the capture has no textures",
            where=capture.path,
            expected="a folder unwrapped_uv_<size>",
            remedy=f"Make them with: multiface unwrap {capture.path}",
        )
    return max((size for size in TEXTURE_SIZES if size <= there), default=TEXTURE_SIZES[0])


def check_mesh_size(capture: Capture, asked: int | None) -> None:
    """Refuse a mesh size that is not the capture's."""
    if asked is not None and asked != 3 * capture.n_vertices:
        raise ArgumentError(
            "--mesh_inp_size does not fit the capture",
            where=capture.path,
            expected=3 * capture.n_vertices,
            found=asked,
            remedy="Leave the option out: the capture says it",
        )


def read_weight(capture: Capture, path: Path | None) -> torch.Tensor | None:
    """(1 or 3, h, w) weight image divided by its maximum, row 0 at v = 0; None where there is no such image."""
    if path is None:
        path = capture.path / "loss_weight_mask.png"
        if not path.is_file():
            return None
    image = read_image(path)
    if not image.any():
        raise ArgumentError("the weight image is all zero", where=path, remedy="Give an image with weights above 0")
    if (image == image[..., :1]).all():
        image = image[..., :1]
    weight = flip_rows(image).astype(np.float32) / float(image.max())
    return torch.from_numpy(np.ascontiguousarray(weight.transpose(2, 0, 1)))


def make_normalisation(capture: Capture, texture_size: int) -> Normalisation:
    """Normalisation by the capture's own statistics."""
    return Normalisation(capture.statistics, texture_size)


def choose_picture_size(capture: Capture, asked: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) at which pictures are compared: what was asked for, else that of all photos."""
    if asked is not None:
        return asked
    sizes = {camera.size for camera in capture.cameras.values()}
    if len(sizes) > 1:
        raise ArgumentError(
            "the cameras' photos have different sizes",
            where=capture.path,
            found=", ".join(f"{h}x{w}" for h, w in sorted(sizes)),
            remedy="Choose one to compare pictures at: --resolution HEIGHT WIDTH",
        )
    return sizes.pop()


def _listed(values: Sequence[object]) -> str:
    return ", ".join(map(str, values)) or "nothing"
