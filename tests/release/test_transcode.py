"""Pictures stored smaller: how near they stay, that unseen texels stay exact, and that a capture of them reads as before."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import features

from multiface.capture import Capture, read_image
from multiface.capture.unseen import encode_image, unseen_to_exif
from multiface.cli import run
from multiface.core.errors import FormatError
from multiface.release.transcode import fill_unseen, transcode
from release_archives import V1_CAMERAS, V1_ROOT, V1_SEGMENTS, files_below, pack_person, write_released_capture
from release_server import serve

AVIF = pytest.mark.skipif(not features.check("avif"), reason="this Pillow cannot write AVIF")
FORMATS = ["jpeg", pytest.param("avif", marks=AVIF)]


def smooth_picture(height: int, width: int, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(10, 250, (6, 5, 3), np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def texture(size: int = 128) -> np.ndarray:
    picture = np.maximum(smooth_picture(size, size), 1)
    picture[:, : size // 3] = 0
    picture[np.random.default_rng(1).random((size, size)) < 0.02] = 0
    picture[5:9, -9:, 1] = 0  # one channel only
    return picture


@pytest.mark.parametrize("name", FORMATS)
def test_textures_keep_exactly_what_was_not_seen(name: str, tmp_path: Path) -> None:
    path = tmp_path / "7"
    original = texture()
    path.write_bytes(cv2.imencode(".png", original[..., ::-1])[1].tobytes())
    size = path.stat().st_size
    stored = transcode(path, "textures", name, 90)
    assert stored is not None and stored.size == path.stat().st_size < size
    pixels = read_image(path)
    assert np.array_equal(pixels == 0, original == 0)
    error = (pixels.astype(float) - original)[original != 0]
    assert stored.psnr == pytest.approx(10 * np.log10(255**2 / np.mean(error**2)), abs=1e-3)
    assert stored.psnr > 38


@pytest.mark.parametrize("name", FORMATS)
def test_photos_stay_near(name: str, tmp_path: Path) -> None:
    path = tmp_path / "7"
    original = smooth_picture(120, 90)
    path.write_bytes(cv2.imencode(".png", original[..., ::-1])[1].tobytes())
    stored = transcode(path, "images", name, 90)
    assert stored is not None and stored.psnr > 38
    assert np.abs(read_image(path).astype(int) - original).mean() < 3


@AVIF
@pytest.mark.real
def test_a_real_photo_and_a_real_texture_take_a_tenth_of_the_space(shared: Path, tmp_path: Path) -> None:
    for name, kind in (("021924.png", "images"), ("021924_avgtex.png", "textures")):
        path = tmp_path / "7"
        path.write_bytes((shared / "real" / name).read_bytes())
        original, size = read_image(path), path.stat().st_size
        stored = transcode(path, kind, "avif", 80)
        assert stored is not None and stored.size < size / 10 and stored.psnr > 41
        if kind == "textures":
            assert np.array_equal(read_image(path) == 0, original == 0)


def test_what_is_no_picture_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "7"
    path.write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    assert transcode(path, "images", "jpeg", 90) is None
    assert path.read_bytes() == b"\x89PNG\r\n\x1a\n and no more"


def test_unseen_texels_take_colours_from_around_them() -> None:
    picture = np.full((64, 64, 3), (200, 100, 50), np.uint8)
    picture[10:30, 10:40] = 0
    assert np.abs(fill_unseen(picture).astype(int) - (200, 100, 50)).max() <= 1
    assert np.array_equal(fill_unseen(np.zeros((8, 8, 3), np.uint8)), np.zeros((8, 8, 3), np.uint8))


@pytest.mark.parametrize("damage", [slice(40, 60), slice(-30, None), slice(30, 32)])
def test_damaged_data_about_unseen_texels_is_a_format_error(tmp_path: Path, damage: slice) -> None:
    picture = texture(32)
    exif = bytearray(unseen_to_exif(picture))
    exif[damage] = bytes(len(exif[damage]))
    path = tmp_path / "1.jpg"
    path.write_bytes(encode_image(picture, "jpeg", 90, exif=bytes(exif)))
    try:
        pixels = read_image(path)
    except FormatError as error:
        assert str(path) in str(error)
    else:  # the damage hit padding, or made it other data than ours
        assert pixels.shape == picture.shape


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL here")
def test_the_processes_end_with_a_parent_that_is_killed() -> None:
    code = (
        "import os, signal, sys\n"
        "from multiface.release.transcode import Transcoder\n"
        "if __name__ == '__main__':\n"
        "    with Transcoder('jpeg', None, 1) as pool:\n"
        "        print(pool._pool.submit(os.getpid).result(), flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    # The worker inherits stdout: communicate() returns only when it has ended too.
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    out, _ = process.communicate(timeout=60)
    assert int(out) != process.pid and process.returncode == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.parametrize("name", FORMATS)
def test_a_capture_that_was_stored_smaller_reads_as_before(name: str, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    root = write_released_capture(tmp_path / "captures", V1_ROOT, V1_SEGMENTS, V1_CAMERAS)
    pack_person(root, tmp_path / "served", split_images={"EXP_ROM07_Facial_Expressions"}, split_textures=set())
    segment = "E057_Cheeks_Puffed"
    with serve(tmp_path / "served") as server:
        words = ["--entity", "6795937", "--segment", segment, "--camera", *V1_CAMERAS, "--dest", str(tmp_path / "out")]
        common = [*words, "--base_url", server.url, "--json"]
        assert run(["download", *common, "--store", name, "--quality", "95", "--workers", "1"]) == 0
        result = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert result["pictures_transcoded"] == 3 * (3 + 4) and 20 < result["mean_psnr"] < 60
        assert result["lowest_psnr"] <= result["mean_psnr"]
        before, after = Capture(root, texture_size=1024), Capture(tmp_path / "out" / V1_ROOT, texture_size=1024)
        keys = [key for key in before.frames if key.segment == segment]
        for key in keys:
            for camera in V1_CAMERAS:
                assert after.has_photo(key, camera) and after.has_texture(key, camera)
                assert after.photo(key, camera).shape == before.photo(key, camera).shape
            png = read_image(before.layout.texture(key, V1_CAMERAS[0]))
            stored = read_image(after.picture_path(after.layout.texture(key, V1_CAMERAS[0])))
            assert np.array_equal(png == 0, stored == 0)
        suffix = {"jpeg": ".jpg", "avif": ".avif"}[name]
        pictures = [path for path in files_below(tmp_path / "out") if "/images/" in path or "/unwrapped_uv_1024/" in path]
        assert {Path(path).suffix for path in pictures} == {suffix}
        # Mended pictures come back in the same format.
        broken = tmp_path / "out" / pictures[0]
        data = broken.read_bytes()
        broken.write_bytes(data[:-2])
        assert run(["download", "--repair", "--dest", str(tmp_path / "out"), "--base_url", server.url, "--workers", "1"]) == 0
        assert broken.read_bytes() == data
        assert run(["download", "--verify", "--dest", str(tmp_path / "out")]) == 0
