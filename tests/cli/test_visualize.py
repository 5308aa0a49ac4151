"""``multiface visualize`` as a user runs it: what it makes, in which order, and how it refuses."""

from __future__ import annotations

import json
import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from multiface.capture import Capture, FrameKey, read_image, write_audio
from multiface.cli import run
from multiface.data import Normalisation
from multiface.models import ModelInfo, build_model, save_model, save_published
from multiface.show.display import to_display

av = pytest.importorskip("av")

TEST_SEGMENT, SPOKEN = "EXP_ROM07_Facial_Expressions", "SEN_a_voice"


@pytest.fixture(scope="module")
def models(trainable_capture: Path, tmp_path_factory) -> dict[str, Path]:
    """A base and a warp model with random weights and all that checkpoints carry, and a published one that carries nothing."""
    capture = Capture(trainable_capture)
    folder = tmp_path_factory.mktemp("models")
    sizes = {"tex_size": 256, "mesh_inp_size": 3 * capture.n_vertices, "nlatent": 8, "n_cams": len(capture.cameras)}
    statistics = Normalisation(capture.statistics, 256).state()
    paths = {}
    for arch in ("base", "warp"):
        torch.manual_seed(1)
        info = ModelInfo(
            arch=arch, **sizes, camera_names=tuple(capture.cameras), statistics=statistics, topology=capture.topology
        )
        paths[arch] = folder / f"{arch}.safetensors"
        save_model(paths[arch], build_model(arch, **sizes), info)
    paths["published"] = folder / "published.pth"
    save_published(paths["published"], build_model("base", **sizes))
    return paths


def visualize(capsys, *words: object) -> dict:
    """Run the command and return its JSON."""
    assert run(["visualize", *map(str, words), "--json"]) == 0
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def refusal(capsys, *words: object) -> str:
    """Run the command, which has to fail with one clear message, and return the message."""
    assert run(["visualize", *map(str, words)]) == 2
    captured = capsys.readouterr()
    assert "Traceback" not in captured.err and captured.out == ""
    assert captured.err.startswith("multiface visualize: ") and captured.err.count("\n") == 1
    return captured.err


def frames_of(path: Path) -> list[np.ndarray]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def test_every_frame_of_the_segment_in_time_order_for_the_chosen_cameras(trainable_capture, models, tmp_path, capsys):
    out = tmp_path / "out"
    done = visualize(
        capsys,
        trainable_capture,
        "--model_path",
        models["base"],
        "--result_path",
        out,
        "--cameras",
        "400004",
        "400002",
        "--stills",
        1,
    )
    assert [(film["segment"], film["camera"], film["pictures"], film["frames"]) for film in done["videos"]] == [
        (TEST_SEGMENT, "400004", 2, 2),
        (TEST_SEGMENT, "400002", 2, 2),
    ]
    shown = frames_of(out / f"{TEST_SEGMENT}_400004.mp4")
    assert len(shown) == 2 and shown[0].shape[1] > 3 * 24
    capture = Capture(trainable_capture)
    for key in capture.segments[TEST_SEGMENT]:
        truth = read_image(out / "pictures" / f"gt_val_{TEST_SEGMENT}_400004_{key.frame}.png")
        assert np.array_equal(truth, to_display(capture.photo(key, "400004")))
        for name in ("pred", "diff"):
            assert read_image(out / "pictures" / f"{name}_val_{TEST_SEGMENT}_400004_{key.frame}.png").shape == truth.shape
    html = (out / "index.html").read_text("utf-8")
    assert html.count("<video") == 2 and html.count('type="range"') == 2 and "linear camera units" in html


def test_weights_stay_fixed_and_two_runs_give_the_same_bytes(trainable_capture, models, tmp_path, capsys):
    before = models["base"].read_bytes()
    for name in ("one", "two"):
        visualize(capsys, trainable_capture, "--model_path", models["base"], "--result_path", tmp_path / name)
    assert models["base"].read_bytes() == before
    files = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert len(files) == 3
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in files)


def spoken_capture(source: Path, target: Path) -> Capture:
    """A copy whose sentence has frames 102, 105 and 117, and a click in its sound at each of them."""
    shutil.copytree(source, target)
    layout = Capture(target).layout
    last = FrameKey(SPOKEN, "000117")
    source_key = FrameKey(SPOKEN, "000105")
    for path in (layout.vertices, layout.mesh, layout.head_pose, layout.average):
        shutil.copy(path(source_key), path(last))
    for camera in Capture(target).calibrated:
        shutil.copy(layout.photo(source_key, camera), layout.photo(last, camera))
        shutil.copy(layout.texture(source_key, camera), layout.texture(last, camera))
    frames = "\n".join(f"{SPOKEN} {frame}" for frame in ("000102", "000105", "000117"))
    (target / "frame_list.txt").write_text(frames + "\n")
    sound = np.zeros(48000, np.int16)
    for tick in (0, 1, 5):
        sound[1600 * tick : 1600 * tick + 300] = 20000
    write_audio(layout.audio(SPOKEN), sound, 48000)
    return Capture(target)


def test_sentences_have_their_sound_and_dropped_frames_are_held(trainable_capture, models, tmp_path, capsys):
    capture = spoken_capture(trainable_capture, tmp_path / "capture")
    done = visualize(
        capsys, capture.path, "--model_path", models["base"], "--segments", "SEN", "--cameras", "400002", "--fps", 60,
        "--result_path", tmp_path / "out",
    )  # fmt: skip
    (film,) = done["videos"]
    assert film["sound"] and film["fps"] == 30 and (film["pictures"], film["frames"]) == (3, 6)
    path = Path(film["path"])
    pictures = [frame[40:].astype(int) for frame in frames_of(path)]
    changes = [np.abs(b - a).mean() for a, b in pairwise(pictures)]
    assert changes[0] > 5 * max(changes[1:4])  # 102, then 105 held for four frames
    with av.open(str(path)) as container:
        sound = np.concatenate([block.to_ndarray()[0] for block in container.decode(audio=0)])
        rate = container.streams.audio[0].rate
    loud = np.abs(sound) > 0.2
    starts = [position / rate for position in np.flatnonzero(loud[1:] & ~loud[:-1])]
    for tick in (1, 5):
        assert min(abs(start - tick / 30) for start in starts) < 0.012
    assert len(sound) / rate == pytest.approx(6 / 30, abs=0.05)


def test_all_kinds_of_videos_with_a_capture(trainable_capture, models, tmp_path, capsys):
    done = visualize(
        capsys, trainable_capture, "--model_path", models["warp"], "--show", "uv", "warp", "turntable", "path", "walk",
        "--cameras", "400002", "--seconds", 0.2, "--resolution", 64, 48, "--result_path", tmp_path,
    )  # fmt: skip
    names = [f"{TEST_SEGMENT}_400002_uv.mp4", f"{TEST_SEGMENT}_400002_warp.mp4", "turntable.mp4", "path.mp4", "walk.mp4"]
    assert [Path(film["path"]).name for film in done["videos"]] == names
    for name in names:
        shown = frames_of(tmp_path / name)
        assert len(shown) == (2 if TEST_SEGMENT in name else 6)
        assert not np.array_equal(shown[0], shown[-1])


@pytest.mark.parametrize("kind", ["turntable", "walk"])
def test_a_model_alone_is_shown_without_any_capture(models, tmp_path, capsys, kind):
    done = visualize(
        capsys,
        "--model_path",
        models["base"],
        "--show",
        kind,
        "--seconds",
        0.2,
        "--resolution",
        64,
        48,
        "--result_path",
        tmp_path,
    )
    assert [film["frames"] for film in done["videos"]] == [6]
    assert frames_of(tmp_path / f"{kind}.mp4")[0].std() > 3
    assert (tmp_path / "index.html").is_file()


def test_every_published_option_is_accepted_as_spelled(trainable_capture, models, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cameras.json").write_text(
        json.dumps({"small": {"train": ["400002", "400004"], "test": ["400002", "400003"], "visual": ["400003"]}})
    )
    (tmp_path / "segments.json").write_text(json.dumps({"segment": ["E001"]}))
    options = {
        "--local_rank": 0, "--val_batch_size": 2, "--arch": "base", "--nlatent": 8, "--lr": 3e-4, "--tex_size": 256,
        "--mesh_inp_size": 75, "--data_dir": trainable_capture, "--krt_dir": trainable_capture / "KRT",
        "--framelist": trainable_capture / "frame_list.txt", "--test_segment": "segments.json", "--lambda_verts": 1,
        "--lambda_screen": 1, "--lambda_tex": 1, "--lambda_kl": 0.01, "--max_iter": 10, "--log_every": 10, "--val_every": 10,
        "--val_num": 10, "--n_worker": 2, "--pass_thres": 50, "--result_path": "out", "--model_path": models["base"],
        "--camera_config": "cameras.json", "--camera_setting": "small", "--save_video": "False",
    }  # fmt: skip
    done = visualize(capsys, *(word for pair in options.items() for word in pair), "--resolution", 64, 48)
    assert [(film["segment"], film["camera"]) for film in done["videos"]] == [("E001_Neutral_Eyes_Open", "400003")]
    assert done["videos"][0]["path"] is None and not list((tmp_path / "out").glob("*.mp4"))
    pictures = sorted(path.name for path in (tmp_path / "out" / "pictures").iterdir())
    assert len(pictures) == 6 and read_image(tmp_path / "out" / "pictures" / pictures[0]).shape == (64, 48, 3)


def test_pictures_alone_need_no_encoder(trainable_capture, models, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("multiface.show.video.ENCODERS", ("libnothing264",))
    words = ("--model_path", models["base"], "--cameras", "400002", "--save_video", "False", "--result_path", tmp_path)
    visualize(capsys, trainable_capture, *words, "--show", "comparison", "turntable", "--seconds", "0.2", "--stills", "4")
    names = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert {f"{panel}_turntable_{i:05d}.png" for panel in ("model", "geometry") for i in (0, 4)} <= names
    assert any(name.startswith("gt_") for name in names) and not list(tmp_path.glob("*.mp4"))
    assert ">Videos<" not in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_frame_that_cannot_be_read_is_named_and_the_one_before_is_held(trainable_capture, models, tmp_path, capsys):
    target = tmp_path / "capture"
    shutil.copytree(trainable_capture, target)
    capture = Capture(target)
    broken = capture.layout.photo(capture.segments[TEST_SEGMENT][1], "400002")
    broken.write_bytes(broken.read_bytes()[:200])
    done = visualize(capsys, target, "--model_path", models["base"], "--cameras", "400002", "--result_path", tmp_path / "out")
    assert done["videos"][0]["pictures"] == 1 and done["videos"][0]["left_out"] == 1
    assert "could not be read" in done["notes"][0]


def test_mistakes_are_one_clear_message(trainable_capture, models, tmp_path, capsys, monkeypatch):
    model, out = ("--model_path", models["base"]), ("--result_path", tmp_path / "out")
    assert "no model was given" in refusal(capsys, trainable_capture, *out)
    assert f"nearest {TEST_SEGMENT}" in refusal(capsys, trainable_capture, *model, *out, "--segments", "EXP_RUM")
    assert "nearest 400002" in refusal(capsys, trainable_capture, *model, *out, "--cameras", "400012")
    assert "no warp field" in refusal(capsys, trainable_capture, *model, *out, "--show", "warp")
    assert "needs a capture" in refusal(capsys, *model, *out, "--show", "uv")
    assert "no camera path" in refusal(capsys, *model, *out, "--show", "path")
    assert "carries no statistics" in refusal(capsys, "--model_path", models["published"], *out)
    frame = str(Capture(trainable_capture).frames[0])
    assert "latent walk" in refusal(capsys, trainable_capture, *model, *out, "--frames", frame)
    assert "no camera path is shown" in refusal(capsys, trainable_capture, *model, *out, "--camera_path", "path.json")
    assert "--frames can only be chosen from a capture" in refusal(capsys, *model, *out, "--show", "walk", "--frames", "E/1")
    (tmp_path / "file").write_text("")
    assert "cannot be written" in refusal(capsys, trainable_capture, *model, "--result_path", tmp_path / "file" / "out")
    monkeypatch.setattr("multiface.show.video.ENCODERS", ("libnothing264",))
    assert "no H.264 encoder" in refusal(capsys, trainable_capture, *model, *out)
    assert not (tmp_path / "out").exists()


def test_a_video_of_no_frames_is_refused(trainable_capture, models, tmp_path, capsys):
    target = tmp_path / "capture"
    shutil.copytree(trainable_capture, target)
    shutil.rmtree(target / "images" / TEST_SEGMENT / "400002")
    message = refusal(capsys, target, "--model_path", models["base"], "--cameras", "400002", "--result_path", tmp_path / "out")
    assert "a video of no frames" in message and "photo" in message


def test_a_published_checkpoint_is_shown_with_a_capture(trainable_capture, models, tmp_path, capsys):
    done = visualize(
        capsys, trainable_capture, "--model_path", models["published"], "--cameras", "400003", "--result_path", tmp_path
    )
    assert done["videos"][0]["frames"] == 2
