"""PNG whose rows are left as they are by the processor and turned into pixels on the device."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from multiface.capture import read_image, write_image
from multiface.core.errors import ArgumentError, FormatError
from multiface.data.png_rows import can_undo_filters, undo_filters

ROOT = Path(__file__).parents[2]
SIZES = [(1, 1), (5, 7), (66, 9)]

UNDER_THE_INTERPRETER = """
import sys
from pathlib import Path
import torch
from data_rows import filtered_pictures
from multiface.data.png_rows import undo_filters

for size in {sizes}:
    rows, filters, pixels = filtered_pictures(2, *size)
    undo_filters(rows, filters)
    assert torch.equal(rows, pixels), size

import multiface.data.prefetch as prefetch
from multiface.capture import Capture
from multiface.data import BatchLoader, build_index
from small_capture import write_small_capture

prefetch.can_undo_filters = lambda device: True
capture = write_small_capture(Path(sys.argv[1]), photo_size=(12, 8))
index = build_index(capture, capture.frames[:1], None)
for cache in (0, 1 << 20):
    make = lambda: BatchLoader(capture, index, 2, photo_size=(12, 8), shuffle=True, cache_bytes=cache)
    got = list(prefetch.DevicePrefetcher(make(), "cpu", background=True))
    for mine, plain in zip(got, make(), strict=True):
        for name in ("texture", "photo", "average"):
            assert torch.equal(getattr(mine, name), getattr(plain, name)), (name, cache)
"""


def test_under_the_interpreter(tmp_path: Path) -> None:
    """In a process of its own: the interpreter has to be chosen before Triton is imported."""
    pytest.importorskip("triton")
    paths = os.pathsep.join(str(ROOT / name) for name in ("src", "tests"))
    environment = {**os.environ, "TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": paths}
    command = [sys.executable, "-c", UNDER_THE_INTERPRETER.format(sizes=SIZES), str(tmp_path / "capture")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]


def test_rows_that_are_left_are_those_of_the_file(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, 5, 3), np.uint8)
    write_image(tmp_path / "a.png", pixels)
    out, filters = np.zeros_like(pixels), np.full(6, 9, np.uint8)
    assert read_image(tmp_path / "a.png", out, filters) is out
    assert filters.max() <= 4
    plain = filters == 0
    np.testing.assert_array_equal(out[plain], pixels[plain])


@pytest.mark.parametrize("kind", ["JPEG", "another size"])
def test_what_is_decoded_whole_says_so(tmp_path: Path, kind: str) -> None:
    from PIL import Image

    pixels = np.zeros((6, 5, 3), np.uint8)
    path = tmp_path / ("a.jpg" if kind == "JPEG" else "a.png")
    Image.fromarray(pixels).save(path)
    out, filters = np.ones((6 if kind == "JPEG" else 7, 5, 3), np.uint8), np.full(6 if kind == "JPEG" else 7, 9, np.uint8)
    np.testing.assert_array_equal(read_image(path, out, filters), pixels)
    assert not filters.any()


def test_a_filter_that_does_not_exist_is_refused_by_the_reader(tmp_path: Path) -> None:
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", 1, 2, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\x00abc\x05abc")
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b""))
    for filters in (None, np.zeros(2, np.uint8)):
        with pytest.raises(FormatError, match="row 1 has a filter"):
            read_image(tmp_path / "a.png", np.zeros((2, 1, 3), np.uint8), filters)


@pytest.mark.parametrize("shape", [(2, 3, 4, 4), (3, 4, 3)])
def test_other_arrays_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError, match="expected"):
        undo_filters(torch.zeros(shape, dtype=torch.uint8), torch.zeros(shape[:2], dtype=torch.uint8))
    with pytest.raises(ArgumentError, match="one filter for each row"):
        undo_filters(torch.zeros(2, 3, 4, 3, dtype=torch.uint8), torch.zeros(2, 4, dtype=torch.uint8))


def test_processors_do_it_themselves() -> None:
    assert not can_undo_filters(torch.device("cpu"))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA or ROCm device")
@pytest.mark.parametrize("size", [*SIZES, (64, 64), (65, 33), (300, 500), (1024, 1024)])
def test_on_a_device(size: tuple[int, int]) -> None:
    from data_rows import filtered_pictures

    rows, filters, pixels = filtered_pictures(3, *size)
    on_device = rows.cuda()
    undo_filters(on_device, filters.cuda())
    assert torch.equal(on_device.cpu(), pixels)
