"""Batches: what is in them, their order, broken files, and threads that end."""

from __future__ import annotations

import threading

import cv2
import numpy as np
import pytest
import torch

from multiface.capture import Capture, write_image
from multiface.core.errors import ArgumentError, CaptureError, FormatError
from multiface.data import BatchLoader, build_index
from multiface.data.cache import ArrayCache
from small_capture import write_small_capture


@pytest.fixture(scope="module")
def capture(tmp_path_factory) -> Capture:
    return write_small_capture(tmp_path_factory.mktemp("capture"), photo_size=(24, 16))


@pytest.fixture
def own(tmp_path) -> Capture:
    """A capture that the test may break."""
    return write_small_capture(tmp_path / "own", segments={"E001_Neutral_Eyes_Open": 3})


def everything(capture: Capture):
    return build_index(capture, capture.frames, None)


def names(batches) -> list[tuple]:
    return [(str(key), camera) for batch in batches for key, camera in zip(batch.view_keys, batch.cameras)]


def test_a_batch_holds_what_the_capture_holds(capture):
    loader = BatchLoader(capture, everything(capture), 4, photo_size=(24, 16))
    batches = list(loader)
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 2] and len(loader) == 5
    batch = batches[1]  # frame 1: two cameras; frame 2: two cameras
    assert batch.cameras == ("400003", "400004", "400002", "400003")
    assert batch.keys == (capture.frames[1], capture.frames[2]) and batch.frame_of_view.tolist() == [0, 0, 1, 1]
    assert batch.camera_index.tolist() == [1, 2, 0, 1]
    for i, (key, camera) in enumerate(zip(batch.view_keys, batch.cameras)):
        frame = int(batch.frame_of_view[i])
        np.testing.assert_array_equal(batch.texture[i], capture.texture(key, camera))
        np.testing.assert_array_equal(batch.photo[i], capture.photo(key, camera))
        np.testing.assert_array_equal(batch.average[frame], capture.texture(key, "average"))
        np.testing.assert_array_equal(batch.vertices[frame], capture.vertices(key))
        np.testing.assert_array_equal(batch.head_pose[frame], capture.head_pose(key).astype(np.float32))
        np.testing.assert_array_equal(batch.view[i], capture.view(key, camera))
        np.testing.assert_array_equal(batch.projection[i], capture.projection(key, camera))
    dtypes = {name: getattr(batch, name).dtype for name in ("average", "texture", "photo")}
    assert set(dtypes.values()) == {torch.uint8}
    assert batch.vertices.dtype == batch.head_pose.dtype == batch.view.dtype == batch.projection.dtype == torch.float32
    assert batch.camera_index.dtype == batch.frame_of_view.dtype == torch.int64


def test_photos_are_resized_by_area_and_the_projection_with_them(capture):
    batch = next(iter(BatchLoader(capture, everything(capture), 3, photo_size=(12, 8))))
    key = capture.frames[0]
    expected = cv2.resize(capture.photo(key, "400002"), (8, 12), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(batch.photo[0], expected)
    np.testing.assert_array_equal(batch.projection[0], capture.projection(key, "400002", size=(12, 8)))
    larger = next(iter(BatchLoader(capture, everything(capture), 3, photo_size=(48, 32))))
    assert larger.photo.shape == (3, 48, 32, 3)


def test_what_is_not_needed_is_never_opened(own):
    for picture in (own.path / "images").rglob("*.png"):
        picture.write_bytes(b"")
    loader = BatchLoader(own, everything(own), 9)
    (batch,) = loader
    assert batch.photo is None and len(batch) == 9 and loader.skipped == []
    for folder in (own.path / "unwrapped_uv_16").glob("*/4*"):
        for picture in folder.glob("*.png"):
            picture.write_bytes(b"")
    (batch,) = BatchLoader(own, everything(own), 9, need_texture=False)
    assert batch.texture is None and batch.average.shape == (3, 16, 16, 3)


@pytest.mark.parametrize("workers", [0, 1, 4])
def test_threads_change_nothing_about_the_order(capture, workers):
    loader = BatchLoader(capture, everything(capture), 4, shuffle=True, seed=3, workers=workers)
    reference = BatchLoader(capture, everything(capture), 4, shuffle=True, seed=3, workers=0)
    assert names(loader) == names(reference)


def test_every_epoch_has_an_order_of_its_own_and_all_samples(capture):
    loader = BatchLoader(capture, everything(capture), 4, shuffle=True)
    epochs = []
    for epoch in (0, 1, 2, 1):
        loader.set_epoch(epoch)
        epochs.append(names(loader))
    assert epochs[1] == epochs[3] and len({tuple(order) for order in epochs}) == 3
    assert all(sorted(order) == sorted(epochs[0]) and len(order) == 18 for order in epochs)
    unshuffled = BatchLoader(capture, everything(capture), 4)
    first = names(unshuffled)
    unshuffled.set_epoch(5)
    assert names(unshuffled) == first


def test_an_epoch_can_be_resumed_at_a_batch(capture):
    loader = BatchLoader(capture, everything(capture), 4, shuffle=True)
    loader.set_epoch(2)
    whole = names(loader)
    loader.set_epoch(2, start=3)
    assert names(loader) == whole[12:] and len(loader) == 2


def test_views_of_a_frame_share_what_is_read(capture):
    loader = BatchLoader(capture, everything(capture), 6, shuffle=True, views_per_frame=3)
    assert [len(batch.keys) for batch in loader] == [2, 2, 2]


def test_processes_read_batches_of_their_own(capture):
    shares = [BatchLoader(capture, everything(capture), 4, shuffle=True, rank=rank, world_size=2) for rank in range(2)]
    assert [len(share) for share in shares] == [3, 2]
    assert sorted(names(shares[0]) + names(shares[1])) == sorted(names(BatchLoader(capture, everything(capture), 4)))


def test_processes_take_part_in_the_batches_that_one_would_have(capture):
    whole = BatchLoader(capture, everything(capture), 8, shuffle=True)
    parts = [
        BatchLoader(capture, everything(capture), 8, shuffle=True, rank=rank, world_size=2, shared=True) for rank in (0, 1)
    ]
    assert [len(loader) for loader in (whole, *parts)] == [3, 3, 3]
    together = [left + right for left, right in zip(*(loader.plan() for loader in parts))]
    assert together == whole.plan()
    shares = list(parts[1].shares())
    assert [(share.planned, share.start, share.total) for share in shares] == [(4, 4, 8), (4, 4, 8), (1, 1, 2)]


def test_a_process_without_samples_of_a_batch_has_an_empty_share(capture):
    loader = BatchLoader(capture, everything(capture), 16, rank=0, world_size=4, shared=True)
    assert [None if share.batch is None else len(share.batch) for share in loader.shares()] == [4, None]
    assert [len(batch) for batch in loader] == [4]
    assert len(loader.any_batch()) == 1


def break_file(path):
    path.write_bytes(path.read_bytes()[:-40])
    return path


@pytest.mark.parametrize("camera", ["400003", "average"])
def test_a_truncated_texture_is_left_out_named_and_counted(own, camera):
    broken = break_file(own.path / "unwrapped_uv_16" / "E001_Neutral_Eyes_Open" / camera / "000105.png")
    loader = BatchLoader(own, everything(own), 4)
    for _ in range(2):
        got = names(loader)
        lost = [(str(own.frames[1]), name) for name in (own.cameras if camera == "average" else [camera])]
        assert len(got) == 9 - len(lost) == 9 - loader.n_left_out and not set(got) & set(lost)
    assert [(what, "truncated" in reason) for what, reason in loader.skipped] == [(str(broken), True)], (
        "once, however often read"
    )
    with pytest.raises(FormatError, match=r"000105\.png"):
        list(BatchLoader(own, everything(own), 4, drop_broken=False))


@pytest.mark.parametrize("file", ["000105.bin", "000105_transform.txt"])
def test_a_broken_mesh_or_pose_takes_its_frame_with_it(own, file):
    break_file(own.path / "tracked_mesh" / "E001_Neutral_Eyes_Open" / file)
    loader = BatchLoader(own, everything(own), 3)
    assert [batch.keys for batch in loader] == [(own.frames[0],), (own.frames[2],)]
    assert loader.n_left_out == 3 and [file in what for what, _ in loader.skipped] == [True]


def training(capture, **options) -> BatchLoader:
    return BatchLoader(capture, everything(capture), 4, **{"shuffle": True, "seed": 1, "workers": 2, **options})


def test_when_training_others_take_the_place_of_broken_samples(own):
    whole = names(training(own))
    break_file(own.path / "unwrapped_uv_16" / "E001_Neutral_Eyes_Open" / "400003" / "000105.png")
    loader = training(own)
    got = names(loader)
    lost = (str(own.frames[1]), "400003")
    assert len(got) == 9 and [len(batch) for batch in training(own)] == [4, 4, 1], "batches stay whole"
    assert lost not in got and [a for a, b in zip(whole, got) if a != b] == [lost], "nothing else changes"
    assert loader.n_left_out == 1 and len(loader.skipped) == 1
    assert names(loader) == got == names(training(own, workers=0)), "what is known changes nothing about the choice"


def test_a_broken_frame_is_replaced_view_by_view(own):
    break_file(own.path / "tracked_mesh" / "E001_Neutral_Eyes_Open" / "000105.bin")
    loader = training(own, views_per_frame=3, workers=3)
    got = names(loader)
    assert len(got) == 9 and not any(str(own.frames[1]) == key for key, _ in got) and loader.n_left_out == 3


def test_a_batch_of_which_everything_is_broken_is_counted_and_replaced(own):
    break_file(own.path / "unwrapped_uv_16" / "E001_Neutral_Eyes_Open" / "average" / "000105.png")
    loader = BatchLoader(own, everything(own), 3, shuffle=True, views_per_frame=3, seed=2)
    assert [len(batch) for batch in loader] == [3, 3, 3] and loader.n_left_out == 3
    loader.set_epoch(0, start=1)
    assert len(list(loader)) == 2
    testing = BatchLoader(own, everything(own), 3)
    shares = list(testing.shares())
    assert [share.batch is None for share in shares] == [False, True, False] and shares[1].planned == 3


def test_a_resumed_epoch_sees_the_same_substitutes(own):
    break_file(own.path / "unwrapped_uv_16" / "E001_Neutral_Eyes_Open" / "400003" / "000105.png")
    loader = training(own)
    whole = names(loader)
    for start in (1, 2):
        again = training(own)
        again.set_epoch(0, start=start)
        assert names(again) == whole[4 * start :]


def test_when_training_nothing_readable_is_refused(own):
    for picture in (own.path / "unwrapped_uv_16").rglob("*.png"):
        picture.write_bytes(b"")
    with pytest.raises(CaptureError, match=r"cannot be read|could be read"):
        list(training(own))


def test_a_disk_that_went_away_is_noticed_soon(tmp_path):
    capture = write_small_capture(tmp_path / "many", segments={"E001": 60})
    index = everything(capture)
    for picture in (capture.path / "unwrapped_uv_16" / "E001" / "average").iterdir():
        picture.unlink()
    loader = BatchLoader(capture, index, 2, shuffle=True, workers=1)
    with pytest.raises(CaptureError, match="in a row"):
        list(loader)
    assert len(loader.skipped) < 60


def test_a_picture_that_turns_unreadable_in_mid_run_is_named(own):
    loader = training(own, cache_bytes=0)
    assert len(names(loader)) == 9 and loader.skipped == []
    broken = break_file(own.path / "unwrapped_uv_16" / "E001_Neutral_Eyes_Open" / "400004" / "000108.png")
    loader.set_epoch(1)
    assert len(names(loader)) == 9 and [what for what, _ in loader.skipped] == [str(broken)]


def test_files_that_vanish_or_have_another_size_are_left_out(own):
    index = everything(own)
    (own.path / "images" / "E001_Neutral_Eyes_Open" / "400002" / "000105.png").unlink()
    odd = own.path / "images" / "E001_Neutral_Eyes_Open" / "400003" / "000105.png"
    write_image(odd, np.zeros((16, 24, 3), np.uint8))
    wide = own.path / "unwrapped_uv_16" / "E001_Neutral_Eyes_Open" / "400004" / "000108.png"
    write_image(wide, np.zeros((8, 8, 3), np.uint8))
    loader = BatchLoader(own, index, 9, photo_size=(24, 16))
    (batch,) = loader
    assert len(batch) == 6 and loader.n_left_out == 3
    reasons = {what.rsplit("/", 3)[-2]: reason for what, reason in loader.skipped}
    assert set(reasons) == {"400002", "400003", "400004"} and "size" in reasons["400003"] and "size" in reasons["400004"]


def test_a_capture_of_which_nothing_can_be_read_is_refused(own):
    for picture in (own.path / "unwrapped_uv_16").rglob("*.png"):
        picture.write_bytes(b"")
    with pytest.raises(CaptureError, match=r"not one sample.*multiface inspect"):
        list(BatchLoader(own, everything(own), 4))


@pytest.mark.parametrize("how", ["break", "raise", "end"])
def test_threads_end_with_the_iteration(capture, how):
    before = threading.active_count()
    batches = iter(BatchLoader(capture, everything(capture), 1, workers=3))
    next(batches)
    assert threading.active_count() > before
    if how == "end":
        list(batches)
    elif how == "break":
        batches.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            batches.throw(KeyboardInterrupt)
    assert threading.active_count() == before


def test_errors_in_threads_that_are_no_broken_files_come_out(capture, monkeypatch):
    monkeypatch.setattr(Capture, "vertices", lambda self, key: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        list(BatchLoader(capture, everything(capture), 4, workers=2))


def test_cached_pictures_are_decoded_once(own, monkeypatch):
    decoded = []
    texture = Capture.texture
    monkeypatch.setattr(
        Capture, "texture", lambda self, key, camera, *rest: decoded.append((key, camera)) or texture(self, key, camera, *rest)
    )
    loader = BatchLoader(own, everything(own), 4, workers=0)
    first, second = [batch.texture for batch in loader], [batch.texture for batch in loader]
    assert len(decoded) == len(set(decoded)) == 12
    assert all(torch.equal(a, b) for a, b in zip(first, second))
    first[0].zero_()
    assert next(iter(loader)).texture.any(), "a batch is a copy"
    decoded.clear()
    without = BatchLoader(own, everything(own), 9, workers=0, cache_bytes=0)
    list(without), list(without)
    assert len(decoded) == 24


def test_the_cache_keeps_to_its_limit():
    cache, made = ArrayCache(250), []

    def fill(key: int) -> int:
        out = np.zeros(100, np.uint8)
        cache.fill(key, out, lambda out: (made.append(key), out.fill(key + 1)))
        return int(out[0])

    assert [fill(key) for key in (0, 1, 2, 0, 1, 2)] == [1, 2, 3, 1, 2, 3]
    assert made == [0, 1, 2, 2] and cache.n_bytes == 200


def test_a_batch_moves_to_a_device_whole(capture):
    batch = next(iter(BatchLoader(capture, everything(capture), 2)))
    moved = batch.to("meta")
    assert moved.texture.device.type == moved.view.device.type == "meta" and moved.photo is None
    assert moved.keys == batch.keys and moved.cameras == batch.cameras and len(moved) == 2


@pytest.mark.parametrize(
    "options",
    [{"batch_size": 0}, {"views_per_frame": 0}, {"workers": -1}, {"rank": 2, "world_size": 2}, {"photo_size": (0, 4)}],
)
def test_options_that_cannot_be_are_refused(capture, options):
    with pytest.raises(ArgumentError):
        BatchLoader(capture, everything(capture), **{"batch_size": 4, **options})
