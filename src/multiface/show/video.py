"""MP4 files written frame by frame: H.264 that every browser and phone plays, with a sound track if there is one."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multiface.core.errors import ArgumentError, DependencyError, StorageError
from multiface.core.files import atomic_path
from multiface.core.lazy import optional_import

if TYPE_CHECKING:
    from types import ModuleType, TracebackType

ENCODERS = ("libx264", "libopenh264", "h264_videotoolbox", "h264_mf")
"""H.264 encoders in order of preference; the first one is in every wheel of PyAV."""

INSTALL = "av>=12.3"
_AUDIO_RATE = 48000
_AUDIO_BLOCK = 4096


class VideoWriter:
    """Writes an H.264 MP4; use it as a context manager.

    ``path`` appears only when the block ended well and at least one frame was added; otherwise nothing is left behind.
    Memory does not grow with the number of frames.

    Args:
        path: Where to write, ending in ``.mp4``.
        fps: Frames per second.
        crf: Quality of libx264, 0 (lossless) to 51; 18 cannot be told from the original.
        preset: Speed of libx264, ``"ultrafast"`` to ``"veryslow"``.
        audio: ``(samples, rate)``: int16 (n,) or (n, channels), samples per second. It starts with the first frame and
            is cut off at the end of the last one.

    Raises:
        DependencyError: PyAV is missing or has no H.264 encoder.
        ArgumentError: the path does not end in .mp4, no frame was added, or a frame is of another size.
        StorageError: the file cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        fps: float = 30,
        crf: int = 20,
        preset: str = "medium",
        audio: tuple[np.ndarray, int] | None = None,
    ) -> None:
        self.path = Path(path)
        self.frames = 0
        if self.path.suffix.lower() != ".mp4":
            raise ArgumentError("videos are written as MP4", where=self.path, expected="a name ending in .mp4")
        if not 0 < fps <= 1000:
            raise ArgumentError("frames per second out of range", expected="above 0, at most 1000", found=fps)
        self._av = optional_import("av", purpose="writing MP4 videos", install=INSTALL)
        self._encoder = find_encoder(self._av)
        self._rate = Fraction(fps).limit_denominator(1001)
        self._options = {"crf": str(crf), "preset": preset} if self._encoder == "libx264" else {}
        self._sound = None if audio is None else _checked_audio(*audio)
        self._stack = ExitStack()
        self._container: Any = None
        self._video: Any = None
        self._audio: _AudioTrack | None = None
        self._size = (0, 0)

    def __enter__(self) -> VideoWriter:
        self._temporary = self._stack.enter_context(atomic_path(self.path))
        return self

    def add(self, frame: np.ndarray, repeat: int = 1) -> None:
        """Append one picture and hold it for ``repeat`` frames of the video.

        Args:
            frame: uint8 (H, W, 3) in display colours, odd sizes get a dark border pixel; or the planes (3 H / 2, W) of
                :func:`multiface.show.compositor.to_planes`, with even H and W. The same size for all.
            repeat: How many frames of the video show it, at least 1.
        """
        planar = frame.ndim == 2
        if frame.dtype != np.uint8 or 0 in frame.shape or not (_is_planar(frame) if planar else _is_rgb(frame)):
            raise ArgumentError("not a picture", expected="uint8 (H, W, 3)", found=f"{frame.dtype} {frame.shape}")
        size = (frame.shape[0] // 3 * 2, frame.shape[1]) if planar else frame.shape[:2]
        if self.frames and size != self._size:
            raise ArgumentError(f"frame {self.frames} has another size", expected=self._size, found=size)
        with self._encoding():
            if not self.frames:
                self._open(size)
            picture = self._planes(frame) if planar else self._converted(frame)
            for _ in range(repeat):
                self._encode(picture)

    def _converted(self, frame: np.ndarray) -> Any:
        height, width = self._size
        padded = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0))) if height % 2 or width % 2 else frame
        picture = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(padded), format="rgb24")
        return picture.reformat(format="yuv420p", src_colorspace="ITU709", dst_colorspace="ITU709")

    def _planes(self, frame: np.ndarray) -> Any:
        return self._av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="yuv420p")

    def _encode(self, picture: Any) -> None:
        picture.pts, picture.time_base = self.frames, 1 / self._rate
        for packet in self._video.encode(picture):
            self._container.mux(packet)
        self.frames += 1
        if self._audio:
            self._audio.write_until(self.frames / self._rate)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool | None:
        if kind is not None:
            self._abandon()
            return self._stack.__exit__(kind, error, traceback)
        with self._stack:  # an error in here removes the temporary file
            self._finish()
        return None

    def _open(self, size: tuple[int, int]) -> None:
        height, width = self._size = size
        # The index goes in front of the pictures, so that a browser starts to play before it has everything.
        self._container = self._av.open(str(self._temporary), "w", format="mp4", options={"movflags": "faststart"})
        self._video = self._container.add_stream(self._encoder, rate=self._rate, options=self._options)
        self._video.width, self._video.height = width + width % 2, height + height % 2
        self._video.pix_fmt = "yuv420p"
        context = self._video.codec_context
        context.time_base = 1 / self._rate
        context.thread_type = "AUTO"
        context.color_primaries = context.color_trc = context.colorspace = 1  # BT.709, limited range: what players assume
        context.color_range = 1
        if self._sound is not None:
            self._audio = _AudioTrack(self._av, self._container, *self._sound)

    def _finish(self) -> None:
        if self.frames == 0:
            raise ArgumentError(
                "a video needs at least one frame", where=self.path, found=0, remedy="Choose segments and cameras that exist"
            )
        try:
            with self._encoding():
                for packet in self._video.encode():
                    self._container.mux(packet)
                if self._audio:
                    self._audio.finish()
                self._container.close()
        except BaseException:
            self._abandon()
            raise

    @contextmanager
    def _encoding(self) -> Iterator[None]:
        try:
            yield
        except self._av.FFmpegError as error:
            if error.errno == errno.ENOSPC:  # atomic_path says it in the words of every other file
                raise
            raise StorageError(f"the video cannot be written: {error.strerror}", where=self.path) from error

    def _abandon(self) -> None:
        """Close the container without caring for what it says: the file is thrown away, and another error is on its way."""
        if self._container is not None:
            try:
                self._container.close()
            except (OSError, ValueError):
                self._container = None


class _AudioTrack:
    """AAC beside the pictures, fed in step with them so that the muxer never has to hold much of either."""

    def __init__(self, av: ModuleType, container: Any, samples: np.ndarray, rate: int) -> None:
        self._av, self._container = av, container
        self._samples, self._rate, self._position = samples, rate, 0
        layout = "mono" if samples.shape[1] == 1 else "stereo"
        self._layout = layout
        self._stream = container.add_stream("aac", rate=_AUDIO_RATE, layout=layout)
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=_AUDIO_RATE)

    def write_until(self, seconds: Fraction) -> None:
        end = min(int(seconds * self._rate), len(self._samples))
        while self._position < end:
            block = self._samples[self._position : min(end, self._position + _AUDIO_BLOCK)]
            frame = self._av.AudioFrame.from_ndarray(block.reshape(1, -1), format="s16", layout=self._layout)
            frame.sample_rate, frame.pts, frame.time_base = self._rate, self._position, Fraction(1, self._rate)
            self._encode(self._resampler.resample(frame))
            self._position += len(block)

    def finish(self) -> None:
        if self._position:
            self._encode(self._resampler.resample(None))
        self._encode([None])

    def _encode(self, frames: list[Any]) -> None:
        for frame in frames:
            for packet in self._stream.encode(frame):
                self._container.mux(packet)


def find_encoder(av: ModuleType) -> str:
    """Name of the best H.264 encoder that this PyAV has.

    Raises:
        DependencyError: it has none.
    """
    for name in ENCODERS:
        if name in av.codecs_available:
            try:
                av.Codec(name, "w")
            except ValueError:  # known to FFmpeg, but as a decoder only
                continue
            return name
    raise DependencyError(
        "this PyAV has no H.264 encoder",
        expected=" or ".join(ENCODERS),
        remedy=f"Install the wheel that brings one: pip install --force-reinstall --only-binary :all: '{INSTALL}'",
    )


def _is_rgb(frame: np.ndarray) -> bool:
    return frame.ndim == 3 and frame.shape[2] == 3


def _is_planar(frame: np.ndarray) -> bool:
    return frame.shape[0] % 3 == 0 and frame.shape[1] % 2 == 0


def _checked_audio(samples: np.ndarray, rate: int) -> tuple[np.ndarray, int]:
    samples = np.asarray(samples)
    if samples.ndim == 1:
        samples = samples[:, None]
    if samples.dtype != np.int16 or samples.ndim != 2 or samples.shape[1] < 1 or not rate > 0:
        raise ArgumentError(
            "this sound cannot be used",
            expected="int16 (n,) or (n, channels) and samples per second",
            found=f"{samples.dtype} {samples.shape}, {rate}",
        )
    return np.ascontiguousarray(samples[:, :2]), int(rate)
