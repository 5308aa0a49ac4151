"""Whole captures from the virtual stage: complete, reproducible, never half-written; own heads and wrong input."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from multiface.capture import Capture, inspect_capture, read_audio, write_image, write_obj, write_vertices
from multiface.core.errors import ArgumentError, CaptureError, FormatError
from multiface.geometry import Topology
from multiface.prepare.stage import StageConfig, studio, write_capture

SMALL = {"segments": 5, "frames_per_segment": 2, "n_cameras": 3, "image_size": (64, 42), "tex_size": 64}


def digest(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def filmed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("stage") / "capture"
    seen: list[tuple[str, int, int]] = []
    result = write_capture(StageConfig(**SMALL, seed=1), out, lambda *step: seen.append(step))
    assert result.capture == out
    assert (result.frames, result.segments, result.cameras) == (10, 5, 3)
    assert {what for what, _, _ in seen} == {"building the head", "filming", "unwrapping textures"}
    return out


def test_layout_is_complete(filmed: Path) -> None:
    capture = Capture(filmed)
    assert len(capture.frames) == 10
    assert "EXP_ROM07_Facial_Expressions" in capture.segments
    assert len(capture.cameras) == 3
    assert capture.texture_size == 64
    for key in capture.frames:
        assert capture.vertices(key).shape == (capture.topology.n_vertices, 3)
        assert capture.layout.mesh(key).is_file()
        assert capture.head_pose(key).shape == (3, 4)
        assert capture.texture(key, "average").shape == (64, 64, 3)
        for camera in capture.cameras:
            assert capture.photo(key, camera).shape == (64, 42, 3)
            assert capture.texture(key, camera).shape == (64, 64, 3)
    statistics = capture.statistics
    assert statistics.tex_var > 1.0
    assert 0.05 < statistics.vert_var < 100.0


def test_inspection_finds_nothing_wrong(filmed: Path) -> None:
    assert inspect_capture(filmed).problems == []


def test_sentences_have_sound_as_long_as_their_frames(filmed: Path) -> None:
    capture = Capture(filmed)
    spoken = [segment for segment in capture.segments if segment.startswith("SEN_")]
    assert spoken
    for segment in spoken:
        audio = capture.audio(segment)
        assert audio is not None
        samples, rate = read_audio(audio)
        numbers = [int(key.frame) for key in capture.segments[segment]]
        assert len(samples) / rate == pytest.approx((numbers[-1] - numbers[0] + 3) / 90, abs=1e-3)


def test_tracked_meshes_carry_slight_noise(filmed: Path) -> None:
    config = StageConfig(**SMALL, seed=1)
    stage = studio.build_stage(config)
    performance = stage.performances[0]
    written = Capture(filmed).vertices(studio._key(performance, 0))
    error = written - stage.actor.mesh(performance.weights[0])
    assert error.std() == pytest.approx(studio.TRACKING_NOISE, rel=0.05)


def test_unseen_texels_are_zero_and_the_albedo_is_not_copied(filmed: Path) -> None:
    capture = Capture(filmed)
    key, names = capture.frames[0], list(capture.cameras)
    textures = [capture.texture(key, name) for name in names]
    for texture in textures:
        assert 0.3 < (texture == 0).all(-1).mean() < 0.95
    seen = (textures[0] > 0).all(-1) & (textures[1] > 0).all(-1)
    assert np.abs(textures[0][seen].astype(int) - textures[1][seen]).mean() > 2


def test_same_seed_same_bytes_whatever_threads_and_hash_seed(filmed: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from multiface.prepare.stage import StageConfig, write_capture;"
        f"write_capture(StageConfig(**{SMALL!r}, seed=1), sys.argv[1])"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "77", "NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if hasattr(os, "sched_setaffinity"):  # one core: one filming thread
        code = f"import os; os.sched_setaffinity(0, [min(os.sched_getaffinity(0))]); {code}"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "again")], check=True, env=environment)
    assert digest(tmp_path / "again") == digest(filmed)


def test_another_seed_gives_another_person(filmed: Path, tmp_path: Path) -> None:
    write_capture(StageConfig(**{**SMALL, "segments": 1}, seed=2), tmp_path / "other")
    other, first = Capture(tmp_path / "other"), Capture(filmed)
    assert np.abs(other.vertices(other.frames[0]) - first.vertices(first.frames[0])).max() > 2.0


def test_interrupted_work_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(studio, "unwrap_capture", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_capture(StageConfig(**{**SMALL, "segments": 1}), tmp_path / "never")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept.txt").write_text("mine")
    with pytest.raises(ArgumentError, match="not empty"):
        write_capture(StageConfig(**SMALL), tmp_path)
    assert (tmp_path / "kept.txt").read_text() == "mine"
    with pytest.raises(ArgumentError, match="is a file"):
        write_capture(StageConfig(**SMALL), tmp_path / "kept.txt")


@pytest.mark.parametrize(
    "wrong",
    [
        {"segments": 0}, {"segments": 1000}, {"frames_per_segment": 0}, {"n_cameras": 41}, {"image_size": (8, 8)},
        {"tex_size": 4}, {"seed": -1}, {"mesh": Path("x.bin")}, {"expressions": Path("x.npz")},
    ],
)  # fmt: skip
def test_impossible_options_are_refused(wrong: dict) -> None:
    with pytest.raises(ArgumentError):
        StageConfig(**wrong)


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A ball of a head with a striped texture and one expression."""
    folder = tmp_path_factory.mktemp("own")
    rows, columns = 14, 20
    polar, turn = np.meshgrid(np.linspace(0.15, 3.0, rows), np.linspace(-np.pi, np.pi, columns + 1), indexing="ij")
    uvs = np.stack([0.02 + 0.96 * (turn + np.pi) / (2 * np.pi), 0.98 - 0.96 * polar / np.pi], -1).reshape(-1, 2)
    ball = np.stack([80 * np.sin(polar) * np.sin(turn), 110 * np.cos(polar), 95 * np.sin(polar) * np.cos(turn)], -1)
    vertices = ball[:, :columns].reshape(-1, 3).astype(np.float32)
    grid, uv_grid = np.arange(rows * columns).reshape(rows, columns), np.arange(rows * (columns + 1)).reshape(rows, -1)
    grid = np.concatenate([grid, grid[:, :1]], axis=1)

    def cells(ids: np.ndarray) -> np.ndarray:
        a, b, c, d = (k.ravel() for k in (ids[:-1, :-1], ids[1:, :-1], ids[1:, 1:], ids[:-1, 1:]))
        return np.concatenate([np.stack([a, b, c], -1), np.stack([a, c, d], -1)])

    topology = Topology(cells(grid), uvs, cells(uv_grid))
    texture = np.full((64, 64, 3), (110, 80, 45), np.uint8)
    texture[:, ::8] //= 2
    write_vertices(folder / "head.bin", vertices)
    write_obj(folder / "head.obj", vertices, topology)
    write_image(folder / "skin.png", texture)
    deltas = np.zeros((1, len(vertices), 3), np.float16)
    deltas[0, :, 1] = -10.0 * (vertices[:, 1] < -20)
    np.savez(folder / "shapes.npz", names=np.array(["jawOpen"]), deltas=deltas, neutral=vertices)
    return {"mesh": folder / "head.bin", "topology": folder / "head.obj", "texture": folder / "skin.png"}


def test_own_head_is_filmed_with_and_without_expressions(own: dict[str, Path], tmp_path: Path) -> None:
    write_capture(StageConfig(**{**SMALL, "segments": 3}, **own), tmp_path / "plain")
    shapes = own["mesh"].parent / "shapes.npz"
    write_capture(StageConfig(**{**SMALL, "segments": 3}, **own, expressions=shapes), tmp_path / "expressive")
    for name in ("plain", "expressive"):
        capture = Capture(tmp_path / name)
        assert inspect_capture(tmp_path / name).problems == []
        assert capture.photo(capture.frames[0], next(iter(capture.cameras))).max() > 40
    moving = Capture(tmp_path / "plain")
    jaw = moving.segments["E006_Jaw_Drop_Brows_Up"]
    assert np.ptp([moving.vertices(key)[:, 1].min() for key in jaw]) >= 0.0


def test_own_calibration_and_pose_are_used(own: dict[str, Path], filmed: Path, tmp_path: Path) -> None:
    source = Capture(filmed)
    from multiface.capture import write_head_pose, write_krt

    write_krt(tmp_path / "KRT", [camera.resized((2048, 1334)) for camera in source.cameras.values()])
    write_head_pose(tmp_path / "pose.txt", np.hstack([np.diag([1.0, -1.0, -1.0]), [[0.0], [0.0], [1030.0]]]))
    options = {**SMALL, "segments": 1, "n_cameras": 2, **own, "calibration": tmp_path / "KRT", "pose": tmp_path / "pose.txt"}
    write_capture(StageConfig(**options), tmp_path / "out")
    made = Capture(tmp_path / "out")
    assert list(made.cameras) == list(source.cameras)[:2]
    for name, camera in made.cameras.items():
        np.testing.assert_allclose(camera.Rt, source.cameras[name].Rt, atol=1e-4)
    with pytest.raises(ArgumentError, match="more cameras"):
        write_capture(StageConfig(**{**options, "n_cameras": 9}), tmp_path / "many")


class Trap:
    """Unpickling this would create a file."""

    def __reduce__(self):
        return Path.touch, (Path("trap-was-sprung"),)


def test_wrong_files_of_an_own_head_are_named(own: dict[str, Path], tmp_path: Path) -> None:
    few = tmp_path / "few.bin"
    write_vertices(few, np.zeros((5, 3), np.float32))
    with pytest.raises(FormatError, match="do not fit"):
        write_capture(StageConfig(**SMALL, **{**own, "mesh": few}), tmp_path / "a")
    np.savez(tmp_path / "other.npz", names=np.array(["x"]), deltas=np.zeros((1, 9, 3), np.float32))
    np.savez(tmp_path / "lacking.npz", names=np.array(["x"]))
    (tmp_path / "noise.npz").write_bytes(b"PK\x03\x04 not an archive")
    np.savez(tmp_path / "pickle.npz", names=np.array([Trap()], dtype=object), deltas=np.zeros((1, 9, 3)))
    for name, message in (
        ("other", "another mesh"),
        ("lacking", "lack an array"),
        ("noise", "cannot be read"),
        ("pickle", "cannot be read"),
    ):
        with pytest.raises(FormatError, match=message):
            write_capture(StageConfig(**SMALL, **own, expressions=tmp_path / f"{name}.npz"), tmp_path / "b")
    with pytest.raises(CaptureError, match="no such file"):
        write_capture(StageConfig(**SMALL, **own, expressions=tmp_path / "absent.npz"), tmp_path / "c")
    assert not Path("trap-was-sprung").exists()
    assert not any((tmp_path / name).exists() for name in "abc")


@pytest.mark.real
def test_real_head_with_real_expressions_and_cameras(shared: Path, tmp_path: Path) -> None:
    config = StageConfig(
        **{**SMALL, "segments": 3},
        mesh=shared / "real" / "021924.bin",
        topology=shared / "real" / "face_topology.obj",
        texture=shared / "real" / "021924_avgtex.png",
        expressions=shared / "expressions" / "expressions.npz",
        calibration=shared / "real" / "KRT",
        pose=shared / "real" / "021924_transform.txt",
    )
    write_capture(config, tmp_path / "real")
    capture = Capture(tmp_path / "real")
    assert capture.n_vertices == 7306
    assert next(iter(capture.cameras)) == "400069"
    photo = capture.photo(capture.frames[0], "400069")
    assert 0.2 < (photo.max(-1) > 20).mean() < 0.9
    assert inspect_capture(tmp_path / "real").problems == []
