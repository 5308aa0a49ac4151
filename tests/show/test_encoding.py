"""The encoder in its thread: holds, order, errors that come back, nothing left behind."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from multiface.core.errors import ArgumentError
from multiface.show.encoding import WAITING, EncodingThread
from multiface.show.video import VideoWriter

av = pytest.importorskip("av")


def flat(value: int) -> np.ndarray:
    return np.full((32, 48, 3), value, np.uint8)


def levels(path) -> list[int]:
    with av.open(str(path)) as container:
        return [round(float(frame.to_ndarray(format="rgb24").mean())) for frame in container.decode(video=0)]


def test_pictures_stay_until_the_next_one(tmp_path):
    with EncodingThread(VideoWriter(tmp_path / "a.mp4", crf=5)) as encoder:
        for value, tick in ((50, 2), (120, 3), (200, 6)):
            encoder.add(flat(value), tick)
    assert encoder.frames == 7
    assert levels(tmp_path / "a.mp4") == pytest.approx([50, 50, 50, 120, 120, 120, 200], abs=3)


def test_planes_and_colours_make_the_same_video(tmp_path):
    import torch

    from multiface.show.compositor import to_planes

    for name, convert in (("rgb", lambda x: x), ("planes", lambda x: to_planes(torch.from_numpy(x)).numpy())):
        with EncodingThread(VideoWriter(tmp_path / f"{name}.mp4", crf=5)) as encoder:
            for tick, value in enumerate((40, 90, 220)):
                encoder.add(convert(flat(value)), tick)
    assert levels(tmp_path / "rgb.mp4") == pytest.approx(levels(tmp_path / "planes.mp4"), abs=2)


def test_an_error_of_the_encoder_comes_back_and_nothing_waits_forever(tmp_path):
    with pytest.raises(ArgumentError, match="another size"), EncodingThread(VideoWriter(tmp_path / "a.mp4")) as encoder:
        for tick in range(3 * WAITING):
            encoder.add(flat(tick) if tick != 2 else np.zeros((8, 8, 3), np.uint8), tick)
    assert list(tmp_path.iterdir()) == []
    assert not [thread for thread in threading.enumerate() if thread.name == "multiface-encoder"]


def test_an_error_of_the_caller_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError, match="mine"), EncodingThread(VideoWriter(tmp_path / "a.mp4")) as encoder:
        for tick in range(2 * WAITING):
            encoder.add(flat(tick), tick)
        raise RuntimeError("mine")
    assert list(tmp_path.iterdir()) == []


def test_no_frames_are_an_error(tmp_path):
    with pytest.raises(ArgumentError, match="at least one frame"), EncodingThread(VideoWriter(tmp_path / "a.mp4")):
        pass
    assert list(tmp_path.iterdir()) == []
