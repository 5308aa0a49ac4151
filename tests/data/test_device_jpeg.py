"""JPEG that the reader leaves to the device, in a batch's memory and out of it."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from multiface.capture import AVERAGE, Capture
from multiface.capture.store.index import Name
from multiface.capture.unfinished import Unfinished
from multiface.core.errors import FormatError
from multiface.data import BatchLoader, DevicePrefetcher, build_index, device_jpeg, prefetch
from multiface.prepare.pack import PackSettings, pack_capture
from small_capture import write_small_capture

PHOTO = (96, 72)


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("jpeg")
    capture = write_small_capture(folder / "capture", photo_size=PHOTO, tex_size=64)
    pack_capture(capture.path, folder / "store", PackSettings(texture_codec="jpeg", photo_codec="jpeg", average_codec="jpeg"))
    return folder / "store"


def make_loader(path: Path, **options) -> BatchLoader:
    capture = Capture(path)
    index = build_index(capture, capture.frames, None)
    return BatchLoader(capture, index, 5, **{"photo_size": PHOTO, "shuffle": True, "seed": 3, "cache_bytes": 0, **options})


def decode_here(encoded, device) -> list[torch.Tensor]:
    """What a device with decoders does."""
    pictures = [np.array(Image.open(io.BytesIO(data.tobytes()))) for data in encoded]
    return [torch.from_numpy(picture).permute(2, 0, 1).to(device) for picture in pictures]


@pytest.fixture
def decoded(monkeypatch) -> list[int]:
    """How many pictures each call of a decoder of a device that is not there gets."""
    counts: list[int] = []
    monkeypatch.setattr(prefetch, "can_decode_jpeg", lambda device: True)
    monkeypatch.setattr(
        device_jpeg, "decode", lambda encoded, device: counts.append(len(encoded)) or decode_here(encoded, device)
    )
    return counts


def assert_same(path: Path, device: str, **options) -> None:
    got = list(DevicePrefetcher(make_loader(path, **options), device, background=True))
    for mine, plain in zip(got, make_loader(path, **options), strict=True):
        for name in ("texture", "photo", "average"):
            if getattr(plain, name) is not None:
                assert torch.equal(getattr(mine, name).cpu(), getattr(plain, name)), name


@pytest.mark.parametrize("options", [{}, {"photo_size": None}, {"need_texture": False}, {"views_per_frame": 2}])
def test_batches_are_the_same(store: Path, decoded: list[int], options: dict) -> None:
    assert_same(store, "cpu", **options)
    assert sum(decoded) >= 15


def test_what_is_kept_in_memory_or_resized_is_decoded_before(store: Path, decoded: list[int]) -> None:
    assert_same(store, "cpu", cache_bytes=1 << 24)
    assert not decoded
    assert_same(store, "cpu", photo_size=(48, 36), need_texture=False)
    assert sum(decoded) == sum(len(batch.keys) for batch in make_loader(store)), "averages only"


def test_a_picture_that_is_left_is_there_with_its_bits(store: Path) -> None:
    capture = Capture(store)
    assert capture.store is not None
    key, camera = capture.frames[0], next(iter(capture.cameras))
    out, filters, jpeg = np.zeros((64, 64, 3), np.uint8), np.full(64, 9, np.uint8), np.zeros(2, np.int64)
    assert capture.texture(key, camera, out, Unfinished(filters, jpeg)) is out
    assert jpeg[0] > 0 and jpeg[1] == 64 * 64 * 3 // 8 and not filters.any()
    flat = out.reshape(-1)
    pixels = np.array(Image.open(io.BytesIO(flat[: jpeg[0]].tobytes())))
    seen = np.unpackbits(flat[-64 * 64 * 3 // 8 :]).reshape(pixels.shape)
    expected = capture.texture(key, camera)
    assert not seen.all() and np.array_equal(np.maximum(pixels, 1) * seen, expected)


def test_a_jpeg_that_decoders_see_differently_is_read_once_and_decoded(tmp_path: Path, monkeypatch) -> None:
    from multiface.capture.store import codecs
    from multiface.capture.store.shards import LocalShards

    def half_resolution(array: np.ndarray, quality: int) -> bytes:
        file = io.BytesIO()
        Image.fromarray(array).save(file, format="JPEG", quality=quality, subsampling="4:2:0")
        return file.getvalue()

    monkeypatch.setitem(codecs._ENCODERS, "jpeg", half_resolution)
    capture = write_small_capture(tmp_path / "capture", tex_size=64)
    pack_capture(capture.path, tmp_path / "store", PackSettings(texture_codec="jpeg"))
    opened, key, reads, read = Capture(tmp_path / "store"), capture.frames[0], [], LocalShards.read
    camera = next(iter(capture.cameras))
    expected = opened.texture(key, camera)
    monkeypatch.setattr(LocalShards, "read", lambda self, *where: reads.append(where) or read(self, *where))
    out, jpeg = np.zeros((64, 64, 3), np.uint8), np.full(2, 7, np.int64)
    assert opened.texture(key, camera, out, Unfinished(None, jpeg)) is out
    assert len(reads) == 1 and not jpeg.any() and np.array_equal(out, expected)


@pytest.mark.parametrize("codec", ["lz4", "png"])
def test_other_codecs_are_decoded(tmp_path: Path, codec: str) -> None:
    capture = write_small_capture(tmp_path / "capture", tex_size=64)
    pack_capture(capture.path, tmp_path / "store", PackSettings(texture_codec=codec))
    out, jpeg = np.zeros((64, 64, 3), np.uint8), np.full(2, 7, np.int64)
    key = capture.frames[0]
    Capture(tmp_path / "store").texture(key, AVERAGE, out, Unfinished(None, jpeg))
    assert not jpeg.any() and np.array_equal(out, capture.texture(key, AVERAGE))


def test_a_flipped_bit_is_found_before_the_device_sees_it(store: Path, tmp_path: Path, decoded: list[int]) -> None:
    own = Path(shutil.copytree(store, tmp_path / "store"))
    opened = Capture(own)
    assert opened.store is not None
    key, camera = opened.frames[0], next(iter(opened.cameras))
    entry = opened.store.find(Name("texture", key, camera))
    assert entry is not None
    shard = own / opened.store.manifest.shards[entry.shard].file
    data = bytearray(shard.read_bytes())
    data[entry.offset + entry.length // 2] ^= 4
    shard.write_bytes(data)
    loader = make_loader(own)
    assert sum(len(batch) for batch in DevicePrefetcher(loader, "cpu", background=True)) == 18
    assert len(loader.skipped) == 1 and "wrong checksum" in loader.skipped[0].reason


def test_a_device_that_cannot_decode_one_says_which_batch_and_nothing_hangs(store: Path, monkeypatch) -> None:
    monkeypatch.setattr(prefetch, "can_decode_jpeg", lambda device: True)

    def fail(encoded, device):
        raise RuntimeError("Error while decoding JPEG images: 5\nC++ stack")

    monkeypatch.setattr(device_jpeg, "decode", fail)
    with pytest.raises(FormatError, match="cannot be decoded on the GPU: Error while decoding JPEG images: 5") as raised:
        list(DevicePrefetcher(make_loader(store), "cpu", background=True))
    assert "texture 1 of 5" in str(raised.value.where) and "average of" in str(raised.value.where)


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 1], [1, 3], []])
def test_pictures_that_are_no_jpeg_are_left_alone(rows: list[int]) -> None:
    random = np.random.default_rng(0)
    decoded = [torch.from_numpy(random.integers(0, 256, (3, 5, 7), np.uint8)) for _ in rows]
    before = torch.from_numpy(random.integers(0, 256, (4, 5, 7, 3), np.uint8))
    for has_bits in (False, True):
        pictures = before.clone()
        device_jpeg.place(pictures, rows, decoded, has_bits)
        for at in range(4):
            expected = before[at]
            if at in rows:
                expected = decoded[rows.index(at)].permute(1, 2, 0)
            if at in rows and has_bits:
                bits = np.unpackbits(before[at].numpy().reshape(-1)[-14:])[:105].reshape(5, 7, 3)  # of 5 x 7 x 3 bytes
                expected = expected.clamp_min(1) * torch.from_numpy(bits)
            assert torch.equal(pictures[at], expected)


def test_without_a_gpu_or_torchvision_the_host_decodes(monkeypatch) -> None:
    assert not device_jpeg.can_decode_jpeg(torch.device("cpu"))
    monkeypatch.setitem(sys.modules, "torchvision.io", None)
    monkeypatch.setattr(torch.cuda, "device", lambda device: torch.no_grad())
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    device_jpeg.can_decode_jpeg.cache_clear()
    assert not device_jpeg.can_decode_jpeg(torch.device("cuda:7"))
    device_jpeg.can_decode_jpeg.cache_clear()


@pytest.mark.parametrize(("wrong_by", "slow"), [(0, False), (1, False), (0, True)])
def test_a_device_has_to_be_right_and_fast(monkeypatch, wrong_by: int, slow: bool) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr(device_jpeg.time, "perf_counter", lambda: next(ticks) * (1.0 if slow else 1e-4))
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(device_jpeg, "_TRIED", (2, 128) if slow else (2, 1024))

    def decode(encoded, device):
        planes = decode_here(encoded, device)
        planes[1][0, 5, 5] += wrong_by
        return planes

    monkeypatch.setattr(device_jpeg, "decode", decode)
    if wrong_by:
        with pytest.warns(RuntimeWarning, match="differ by up to 1"):
            assert not device_jpeg._does_well(torch.device("cpu"))
    else:
        assert device_jpeg._does_well(torch.device("cpu")) == (not slow)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_device(store: Path, tmp_path: Path) -> None:
    if not device_jpeg.can_decode_jpeg(torch.device("cuda", torch.cuda.current_device())):
        pytest.skip("this GPU has no decoders of JPEG, or torchvision is not there")
    for options in ({}, {"views_per_frame": 2}, {"photo_size": None}):
        for _ in range(3):
            assert_same(store, "cuda", **options)
