"""Videos: what was put in comes out when decoded, and failures leave nothing behind."""

from __future__ import annotations

import builtins
import sys
from itertools import pairwise

import numpy as np
import pytest

from multiface.core.errors import ArgumentError, DependencyError, StorageError
from multiface.show import video
from multiface.show.video import VideoWriter

av = pytest.importorskip("av")


def picture(k: int, height: int = 48, width: int = 64) -> np.ndarray:
    rows, columns = np.mgrid[:height, :width]
    return np.stack([3 * columns, 4 * rows, np.full_like(rows, 12 * k)], axis=-1).clip(0, 255).astype(np.uint8)


def decode(path) -> np.ndarray:
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return np.stack([frame.reformat(format="rgb24", src_colorspace="ITU709").to_ndarray() for frame in frames])


def test_frames_come_back_in_order_with_their_colours(tmp_path):
    with VideoWriter(tmp_path / "sub" / "a.mp4", fps=25, crf=10) as writer:
        for k in range(12):
            writer.add(picture(k))
    frames = decode(tmp_path / "sub" / "a.mp4")
    assert frames.shape == (12, 48, 64, 3)
    for k, frame in enumerate(frames):
        assert np.abs(frame.astype(int) - picture(k)).mean() < 3
    with av.open(str(tmp_path / "sub" / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert float(stream.average_rate) == 25 and container.duration == pytest.approx(12 / 25 * 1e6, rel=0.02)


def test_a_browser_can_start_before_the_file_is_complete(tmp_path):
    with VideoWriter(tmp_path / "a.mp4") as writer:
        writer.add(picture(0))
    data = (tmp_path / "a.mp4").read_bytes()
    assert 0 < data.find(b"moov") < data.find(b"mdat")


def test_odd_sizes_are_padded_to_even_ones(tmp_path):
    with VideoWriter(tmp_path / "a.mp4", crf=5) as writer:
        writer.add(picture(5, 47, 63))
    (frame,) = decode(tmp_path / "a.mp4")
    assert frame.shape == (48, 64, 3)
    assert np.abs(frame[:46, :62].astype(int) - picture(5, 46, 62)).mean() < 4


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_sound_ends_with_the_pictures(tmp_path, channels):
    tone = (8000 * np.sin(np.arange(44100 * 3) * 2 * np.pi * 440 / 44100)).astype(np.int16)
    with VideoWriter(tmp_path / "a.mp4", fps=30, audio=(np.repeat(tone[:, None], channels, 1), 44100)) as writer:
        for k in range(30):
            writer.add(picture(k % 10))
    with av.open(str(tmp_path / "a.mp4")) as container:
        blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
        assert container.streams.audio[0].codec_context.name == "aac"
    sound = np.concatenate(blocks, axis=1)
    assert sound.shape[0] == min(channels, 2)
    assert sound.shape[1] == pytest.approx(48000, rel=0.05)
    spectrum = np.abs(np.fft.rfft(sound[0, 4000:40000]))
    assert np.argmax(spectrum) * 48000 / 36000 == pytest.approx(440, abs=3)


def test_sound_and_pictures_are_interleaved(tmp_path):
    noise = np.random.default_rng(0).integers(-3000, 3000, 48000 * 4).astype(np.int16)
    with VideoWriter(tmp_path / "a.mp4", fps=10, audio=(noise, 48000)) as writer:
        for k in range(40):
            writer.add(picture(k % 10))
    with av.open(str(tmp_path / "a.mp4")) as container:
        places = sorted((packet.pos, packet.stream.type) for packet in container.demux() if packet.pos)
    turns = sum(one[1] != other[1] for one, other in pairwise(places))
    assert turns > 10


def test_no_frames_is_an_error_and_leaves_nothing(tmp_path):
    with pytest.raises(ArgumentError, match="at least one frame"), VideoWriter(tmp_path / "a.mp4"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_an_error_between_frames_keeps_the_old_file_and_leaves_nothing_else(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(RuntimeError, match="mine"), VideoWriter(tmp_path / "a.mp4") as writer:
        writer.add(picture(0))
        raise RuntimeError("mine")
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]
    assert (tmp_path / "a.mp4").read_bytes() == b"old"


@pytest.mark.parametrize("frame", [np.zeros((48, 64), np.uint8), np.zeros((48, 64, 3), np.float32), picture(0, 50, 64)])
def test_a_frame_that_does_not_fit_is_refused(tmp_path, frame):
    with pytest.raises(ArgumentError), VideoWriter(tmp_path / "a.mp4") as writer:
        writer.add(picture(0))
        writer.add(frame)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_one_clear_message(tmp_path, monkeypatch):
    def full(self, frame):
        av.error.err_check(-28, str(tmp_path))

    monkeypatch.setattr(VideoWriter, "_encode", full)
    with pytest.raises(StorageError, match="no space left"), VideoWriter(tmp_path / "a.mp4") as writer:
        writer.add(picture(0))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are a Unix thing")
def test_a_write_that_fails_half_way_leaves_nothing(tmp_path):
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    rng = np.random.default_rng(0)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
        with pytest.raises(StorageError, match="cannot be written"), VideoWriter(tmp_path / "a.mp4", crf=0) as writer:
            for _ in range(60):
                writer.add(rng.integers(0, 256, (120, 120, 3), dtype=np.uint8))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_without_av_the_error_has_the_pip_line(tmp_path, monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name == "av":
            raise ImportError("No module named 'av'")
        return real(name, *rest)

    monkeypatch.delitem(sys.modules, "av")
    monkeypatch.setattr(builtins, "__import__", missing)
    monkeypatch.setattr("importlib.import_module", lambda name: missing(name))
    with pytest.raises(DependencyError, match="pip install 'av"):
        VideoWriter(tmp_path / "a.mp4")


def test_without_an_encoder_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setattr(video, "ENCODERS", ("libnothing264",))
    with pytest.raises(DependencyError, match=r"no H\.264 encoder"):
        VideoWriter(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["a.avi", "a"])
def test_only_mp4_is_written(tmp_path, name):
    with pytest.raises(ArgumentError, match="MP4"):
        VideoWriter(tmp_path / name)
