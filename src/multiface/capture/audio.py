"""Speech of a segment: PCM .wav files."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from multiface.capture.text import file_size
from multiface.core.errors import ArgumentError, FormatError
from multiface.core.files import atomic_path

_LIMIT = 2 << 30


def read_audio(path: str | Path) -> tuple[np.ndarray, int]:
    """Samples (n, channels) int16 and their rate in Hz. The first sample belongs to the first frame of the segment.

    8, 16, 24 and 32 bit PCM are read; the wider ones are cut to their upper 16 bits.

    Raises:
        CaptureError: there is no such file.
        FormatError: it is not PCM audio, or shorter than its header says.
    """
    size = file_size(path, limit=_LIMIT, kind="audio")
    try:
        with wave.open(str(path), "rb") as file:
            count, channels, width, rate = file.getnframes(), file.getnchannels(), file.getsampwidth(), file.getframerate()
            if count * channels * width > size:
                raise wave.Error(f"truncated: the header promises {count} samples")
            data = file.readframes(count)
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        raise FormatError(
            f"audio cannot be read: {str(error) or 'the file ends early'}",
            where=path,
            expected="PCM .wav of 8, 16, 24 or 32 bits",
            found=f"{size:,} bytes",
            remedy="Fetch the file again or convert it to 16-bit PCM",
        ) from error
    if len(data) != count * channels * width or rate <= 0:
        raise FormatError("audio is truncated", where=path, expected=f"{count} samples", found=f"{len(data):,} bytes")
    return _to_int16(data, width).reshape(count, channels), rate


def _to_int16(data: bytes, width: int) -> np.ndarray:
    if width == 1:  # the only unsigned width
        return (np.frombuffer(data, np.uint8).astype(np.int16) - 128) << 8
    # Little-endian: the last two bytes of each sample are its upper 16 bits.
    upper = np.frombuffer(data, np.uint8).reshape(-1, width)[:, -2:]
    return np.ascontiguousarray(upper).view("<i2")[:, 0].astype(np.int16)


def write_audio(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write (n,) or (n, channels) int16 samples at ``rate`` Hz as 16-bit PCM.

    Raises:
        ArgumentError: another type or shape.
        StorageError: the file cannot be written.
    """
    samples = np.asarray(samples)
    if samples.dtype != np.int16 or samples.ndim not in (1, 2) or samples.shape[-1] == 0 or rate <= 0:
        raise ArgumentError(
            "audio cannot be written", where=path, expected="(n, channels) int16", found=f"{samples.shape} {samples.dtype}"
        )
    with atomic_path(path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1 if samples.ndim == 1 else samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.astype("<i2").tobytes())
