"""Packing: parts, sizes, codecs; interrupted, refused, damaged and full."""

from __future__ import annotations

import errno
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest

from multiface.capture import AVERAGE, Capture, write_image
from multiface.capture.resize import resample_texture
from multiface.capture.store.index import Name
from multiface.core.errors import ArgumentError, CaptureError, StorageError
from multiface.core.lock import folder_lock
from multiface.data import BatchLoader, build_index
from multiface.prepare.pack import PackSettings, pack_capture, shard_writer
from multiface.prepare.pack.items import ItemPacker
from small_capture import write_small_capture

SMALL = PackSettings(shard_bytes=8000)


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Capture:
    return write_small_capture(tmp_path_factory.mktemp("capture"))


def content(store: Path) -> dict[str, bytes]:
    return {str(path.relative_to(store)): path.read_bytes() for path in sorted(store.rglob("*")) if path.is_file()}


def test_what_was_packed_is_told(capture, tmp_path):
    seen = []
    report = pack_capture(capture.path, tmp_path / "store", SMALL, progress=lambda done, total: seen.append((done, total)))
    assert report.counts == {"mesh": 6, "pose": 6, "average": 6, "texture": 18, "photo": 18}
    assert report.frames == 6 and report.frames_before == 0 and report.skipped == [] and report.psnr == {}
    assert seen[-1] == (6, 6) and report.bytes == sum(p.stat().st_size for p in (tmp_path / "store").glob("shards/*.mfs"))
    assert json.dumps(report.to_json())


def test_the_same_input_gives_the_same_bytes(capture, tmp_path):
    pack_capture(capture.path, tmp_path / "a", SMALL, workers=1)
    pack_capture(capture.path, tmp_path / "b", SMALL, workers=4)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_batches_from_a_store_are_bit_equal(capture, tmp_path):
    pack_capture(capture.path, tmp_path / "store", SMALL)

    def batches(path: Path) -> list:
        opened = Capture(path)
        index = build_index(opened, opened.frames, None, need_photo=True)
        loader = BatchLoader(opened, index, 4, photo_size=(12, 8), shuffle=True, views_per_frame=2)
        return list(loader)

    for a, b in zip(batches(capture.path), batches(tmp_path / "store"), strict=True):
        assert a.keys == b.keys and a.cameras == b.cameras
        for name in ("average", "vertices", "head_pose", "texture", "photo", "camera_index", "view", "projection"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_parts_of_a_capture(capture, tmp_path):
    settings = PackSettings(segments=("SEN_a_voice",), cameras=("400004",), photos=False)
    report = pack_capture(capture.path, tmp_path / "store", settings)
    store = Capture(tmp_path / "store")
    assert report.counts == {"mesh": 2, "pose": 2, "average": 2, "texture": 2}
    assert {key.segment for key in store.frames} == {"SEN_a_voice"} and store.calibrated == capture.calibrated
    key = store.frames[0]
    assert store.has_texture(key, "400004") and not store.has_texture(key, "400002") and not store.has_photo(key, "400004")
    assert store.cameras["400004"].size == capture.cameras["400004"].size, "also without photos"
    np.testing.assert_array_equal(store.projection(key, "400004"), capture.projection(key, "400004"))


def test_smaller_pictures(capture, tmp_path):
    pack_capture(capture.path, tmp_path / "store", PackSettings(texture_size=8, photo_size=(12, 8)))
    store = Capture(tmp_path / "store")
    key = store.frames[0]
    assert store.texture_size == 8 and store.statistics.tex_mean.shape == (8, 8, 3)
    expected = cv2.resize(capture.photo(key, "400002"), (8, 12), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(store.photo(key, "400002"), expected)
    np.testing.assert_allclose(store.projection(key, "400002"), capture.projection(key, "400002", (12, 8)), rtol=1e-6)
    mean = capture.statistics.tex_mean
    np.testing.assert_array_equal(store.texture(key, "400003"), resample_texture(capture.texture(key, "400003"), mean, 8))


def test_resampled_textures_normalise_as_textures_that_are_resampled_afterwards():
    random = np.random.default_rng(1)
    mean = random.integers(80, 180, (16, 16, 3), np.uint8)
    texture = np.clip(mean + random.integers(-30, 30, mean.shape), 1, 255).astype(np.uint8)
    texture[:6] = 0
    small, small_mean = resample_texture(texture, mean, 8), resample_texture(mean, mean, 8).astype(float)
    after = cv2.resize(np.where(texture == 0, 0.0, texture.astype(float) - mean), (8, 8), interpolation=cv2.INTER_LINEAR)
    seen = small > 0
    assert seen.mean() == 5 / 8
    assert np.abs((small - small_mean - after)[seen]).max() <= 1.0, "two roundings to whole numbers"


@pytest.mark.parametrize("codec", ["jpeg", "avif"])
def test_lossy_codecs_report_psnr_and_keep_what_was_not_seen(tmp_path, codec):
    capture = write_small_capture(tmp_path / "capture", segments={"A": 2}, tex_size=32)
    settings = PackSettings(texture_codec=codec, average_codec=codec, photo_codec=codec)
    report = pack_capture(capture.path, tmp_path / "store", settings)
    assert set(report.psnr) == {"texture", "average", "photo"}
    store = Capture(tmp_path / "store")
    values: dict[str, list[float]] = {"average": [], "texture": []}
    for key in capture.frames:
        for camera in (*capture.cameras, AVERAGE):
            ours, theirs = store.texture(key, camera), capture.texture(key, camera)
            np.testing.assert_array_equal(ours == 0, theirs == 0)
            error = np.square(ours.astype(float) - theirs)[theirs > 0].mean()
            values["average" if camera == AVERAGE else "texture"].append(10 * np.log10(255**2 / error))
    for kind, measured in values.items():
        assert report.psnr[kind]["mean"] == pytest.approx(np.mean(measured), abs=2e-3)
        assert report.psnr[kind]["lowest"] == pytest.approx(min(measured), abs=2e-3)


def test_what_lz4_hardly_shrinks_is_kept_as_it_is(tmp_path):
    """Noise as it is, and smaller where it pays; both come back bit by bit, read into memory that is given."""
    capture = write_small_capture(tmp_path / "a")
    key, (first, second, *_) = capture.frames[0], list(capture.cameras)
    noise = np.random.default_rng(0).integers(0, 256, capture.texture(key, first).shape, np.uint8)
    write_image(capture.layout.texture(key, first), noise)
    write_image(capture.layout.texture(key, second), np.full_like(noise, 7))
    pack_capture(capture.path, tmp_path / "b")
    packed = Capture(tmp_path / "b")
    codecs = [packed.store.find(Name("texture", key, camera)).codec for camera in (first, second)]
    assert codecs == ["raw", "lz4"]
    for camera in (first, second):
        out = np.empty_like(noise)
        assert packed.texture(key, camera, out) is out
        np.testing.assert_array_equal(out, capture.texture(key, camera))


def test_a_store_can_be_packed_again(capture, tmp_path):
    pack_capture(capture.path, tmp_path / "a", SMALL)
    pack_capture(tmp_path / "a", tmp_path / "b", PackSettings(texture_codec="png", average_codec="raw", photo_codec="raw"))
    store = Capture(tmp_path / "b")
    key = capture.frames[2]
    np.testing.assert_array_equal(store.texture(key, "400002"), capture.texture(key, "400002"))


def test_broken_files_are_named_and_left_out(tmp_path):
    capture = write_small_capture(tmp_path / "capture", segments={"A": 2})
    layout, key = capture.layout, capture.frames[0]
    layout.photo(key, "400003").write_bytes(b"no picture")
    layout.vertices(capture.frames[1]).write_bytes(b"abc")
    report = pack_capture(capture.path, tmp_path / "store")
    assert [Path(entry.file).name for entry in report.skipped] == ["000102.png", "000105.bin"]
    store = Capture(tmp_path / "store")
    assert not store.has_photo(key, "400003") and not store.has_mesh(capture.frames[1]) and store.has_photo(key, "400002")


def interrupt_after(monkeypatch, items: int, error: BaseException) -> None:
    add, count = shard_writer.ShardWriter.add, iter(range(10**6))

    def counted(self, result):
        if next(count) == items:
            raise error
        add(self, result)

    monkeypatch.setattr(shard_writer.ShardWriter, "add", counted)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, "full")], ids=["ctrl-c", "disk-full"])
def test_an_interrupted_run_goes_on_where_it_stopped(capture, tmp_path, monkeypatch, error):
    pack_capture(capture.path, tmp_path / "whole", SMALL)
    out = tmp_path / "store"
    with monkeypatch.context() as patched:
        interrupt_after(patched, 17, error)  # in the middle of the fifth frame
        with pytest.raises(type(error)):
            pack_capture(capture.path, out, SMALL, workers=0)
    assert not (out / "store.json").exists() and not list(out.rglob("*.partial"))
    with pytest.raises(CaptureError, match="not finished"):
        Capture(out)
    packed = []
    with monkeypatch.context() as patched:
        pack = ItemPacker.pack
        patched.setattr(ItemPacker, "pack", lambda self, item: packed.append(item.key) or pack(self, item))
        report = pack_capture(capture.path, out, SMALL, workers=0)
    assert 0 < report.frames_before <= 4 and len(set(packed)) == 6 - report.frames_before
    assert report.counts == {"mesh": 6, "pose": 6, "average": 6, "texture": 18, "photo": 18}
    for key in capture.frames:
        np.testing.assert_array_equal(Capture(out).texture(key, "400002"), capture.texture(key, "400002"))
    assert not list(out.glob("shards/*.json")) and not (out / ".pack.json").exists()


def test_a_killed_run_leaves_nothing_half_written_and_no_lock(tmp_path):
    """SIGKILL, in another process, in the middle of writing."""
    capture = write_small_capture(tmp_path / "capture", segments={"A": 30})
    out = tmp_path / "store"
    code = (
        "import sys, time\nfrom multiface.prepare.pack import *\n"
        "def progress(done, total):\n    if done > 10: print('now', flush=True); time.sleep(60)\n"
        f"pack_capture({str(capture.path)!r}, {str(out)!r}, PackSettings(shard_bytes=8000), workers=1, progress=progress)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"now\n"
    with pytest.raises(StorageError, match="another run is packing"):
        pack_capture(capture.path, out, SMALL)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    report = pack_capture(capture.path, out, SMALL)
    assert report.frames_before >= 8 and report.frames == 30
    pack_capture(capture.path, tmp_path / "whole", SMALL)
    assert content(out) == content(tmp_path / "whole")


def test_a_full_disk_is_one_clear_message(capture, tmp_path, monkeypatch):
    interrupt_after(monkeypatch, 3, StorageError("no space left on the disk", where=tmp_path, remedy="Free some space"))
    with pytest.raises(StorageError, match="no space left"):
        pack_capture(capture.path, tmp_path / "store", SMALL)
    real = shard_writer._Unfinished.add

    def full(self, result):
        real(self, result)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.undo()
    monkeypatch.setattr(shard_writer._Unfinished, "add", full)
    with pytest.raises(StorageError, match=r"no space left on the disk.*run it again"):
        pack_capture(capture.path, tmp_path / "other", SMALL)


def test_a_finished_store_is_not_packed_again(capture, tmp_path, monkeypatch):
    first = pack_capture(capture.path, tmp_path / "store", SMALL)
    monkeypatch.setattr(ItemPacker, "pack", None)
    again = pack_capture(capture.path, tmp_path / "store", SMALL)
    assert again.counts == first.counts and again.frames_before == 6


def test_other_settings_are_refused_unless_it_is_replaced(capture, tmp_path):
    out = tmp_path / "store"
    pack_capture(capture.path, out, SMALL)
    other = PackSettings(photos=False)
    with pytest.raises(ArgumentError, match=r"photos True instead of False.*--overwrite"):
        pack_capture(capture.path, out, other)
    report = pack_capture(capture.path, out, other, overwrite=True)
    assert "photo" not in report.counts and not Capture(out).has_photo(capture.frames[0], "400002")


def test_a_finished_store_with_a_lost_shard_says_so(capture, tmp_path):
    pack_capture(capture.path, tmp_path / "store", SMALL)
    (tmp_path / "store" / "shards" / "00001.mfs").unlink()
    with pytest.raises(CaptureError, match=r"00001\.mfs.*--overwrite"):
        pack_capture(capture.path, tmp_path / "store", SMALL)


def test_a_damaged_note_costs_its_shard_only(capture, tmp_path, monkeypatch):
    out = tmp_path / "store"
    interrupt_after(monkeypatch, 17, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        pack_capture(capture.path, out, SMALL)
    monkeypatch.undo()
    notes = sorted(out.glob("shards/*.json"))
    notes[-1].write_text("{")
    report = pack_capture(capture.path, out, SMALL)
    assert report.frames == 6 and Capture(out).texture(capture.frames[-1], "400004").any()


@pytest.mark.parametrize("where", ["inside", "same", "around", "file", "other"])
def test_folders_that_cannot_hold_a_store(tmp_path, where):
    capture = write_small_capture(tmp_path / "a" / "capture", segments={"A": 2}, n_cameras=2)
    (tmp_path / "file").write_text("x")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("precious")
    places = {"inside": capture.path / "store", "same": capture.path, "around": tmp_path / "a"}
    out = places.get(where, tmp_path / where)
    with pytest.raises((ArgumentError, StorageError)) as caught:
        pack_capture(capture.path, out, overwrite=True)
    assert str(out) in str(caught.value)
    assert (tmp_path / "other" / "thesis.tex").read_text() == "precious" and not (capture.path / "store").exists()


def test_a_link_into_the_capture_is_inside_it(tmp_path):
    capture = write_small_capture(tmp_path / "capture", segments={"A": 2}, n_cameras=2)
    (tmp_path / "link").symlink_to(capture.path / "images", target_is_directory=True)
    with pytest.raises(ArgumentError, match="within the capture"):
        pack_capture(capture.path, tmp_path / "link" / "store")


@pytest.mark.parametrize(
    "settings",
    [{"segments": ("NOPE",)}, {"cameras": ("400099",)}, {"texture_size": 32}],
    ids=str,
)
def test_what_the_capture_has_not_is_refused(capture, tmp_path, settings):
    with pytest.raises((CaptureError, ArgumentError)):
        pack_capture(capture.path, tmp_path / "store", PackSettings(**settings))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    "settings",
    [{"texture_codec": "gif"}, {"quality": 0}, {"quality": 101}, {"texture_size": 0}, {"photo_size": (0, 4)}],
    ids=str,
)
def test_settings_that_cannot_be_are_refused(settings):
    with pytest.raises(ArgumentError):
        PackSettings(**settings)


def test_the_lock_is_for_one_at_a_time(tmp_path):
    outcome = []

    def second() -> None:
        try:
            with folder_lock(tmp_path, "packing into"):
                outcome.append("got it")
        except StorageError as error:
            outcome.append(str(error))

    with folder_lock(tmp_path, "packing into"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    second()
    assert "another run is packing into" in outcome[0] and outcome[1] == "got it"


def test_the_command(capture, tmp_path, capsys):
    from multiface.cli import run

    out = tmp_path / "store"
    words = ["pack", str(capture.path), str(out), "--codec", "jpeg", "--average_codec", "lz4", "--quality", "90", "--json"]
    assert run(words) == 0
    output = capsys.readouterr()
    result = json.loads(output.out.splitlines()[-1])
    assert result["counts"]["texture"] == 18 and set(result["psnr"]) == {"texture", "photo"} and "PSNR" in output.err
    assert run(["inspect", str(out), "--strict"]) == 0
    assert run([*words[:-1], "--no-photos"]) == 2
    assert "other settings" in capsys.readouterr().err
    assert run(["pack", str(tmp_path / "nothing"), str(tmp_path / "x")]) == 2
