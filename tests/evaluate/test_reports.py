"""Frozen and adapted measurement, and what is written of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from multiface import losses
from multiface.core.errors import MultifaceError
from multiface.evaluate.adapted import adapted
from multiface.evaluate.frozen import frozen
from multiface.evaluate.report import append_test_result, append_training_result, table_rows, to_json
from multiface.evaluate.run import open_test
from multiface.evaluate.values import Metrics
from multiface.models import load_model, save_published
from multiface.train.config import TestConfig

CPU = torch.device("cpu")


@pytest.fixture
def config(trainable_capture: Path, trained_run: Path, tmp_path: Path) -> TestConfig:
    return TestConfig(
        data_dir=trainable_capture, model_path=trained_run / "model.safetensors", result_path=tmp_path, passes=2, n_worker=1
    )


def test_frozen_is_deterministic_and_does_not_depend_on_batches(config: TestConfig) -> None:
    run = open_test(config)
    first, _ = frozen(run.step, run.loader, CPU)
    again, _ = frozen(run.step, run.data.loader(run.loader.index, 4, shuffle=False), CPU)
    assert first.samples == 6 and first.frames == 2
    assert set(first.values) == {"tex", "tex_denorm", "tex_psnr", "mesh", "mesh_mm", "screen", "psnr", "ssim"}
    for key, value in first.values.items():
        assert value == pytest.approx(again.values[key], rel=1e-4), key


def test_recorded_work_gives_the_same_numbers_and_pictures(config: TestConfig) -> None:
    run = open_test(config)
    recorded, repeated, shown = [], [], []

    def record(work):
        recorded.append(work)
        return lambda: repeated.append(1) or work()

    def measured(**more):
        loader = run.data.loader(run.loader.index, 1, shuffle=False)
        return frozen(run.step, loader, CPU, pictures=lambda n, p, b: shown.append((b.cameras, p.image.mean())), **more)

    plain, with_recording = measured(), measured(record=record)
    assert len(recorded) == 1 and len(repeated) == 3, "after three batches done plainly"
    assert shown[:6] == shown[6:]
    for one, other in zip(plain, with_recording, strict=True):
        assert one.values == other.values and one.samples == other.samples == 6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_work_is_recorded_and_gives_the_numbers_of_the_cpu(config: TestConfig, recwarn) -> None:
    from dataclasses import replace

    expected = frozen(*_frozen_on(replace(config, device="cpu"), "cpu"))
    got = frozen(*_frozen_on(replace(config, device=None), "cuda"))
    assert not [warning for warning in recwarn if "not recorded" in str(warning.message)]
    for one, other in zip(expected, got, strict=True):
        assert other.samples == one.samples
        assert other.values == pytest.approx(one.values, rel=1e-2)  # convolutions round to TF32 there


def _frozen_on(config: TestConfig, kind: str) -> tuple:
    run = open_test(config)
    assert run.device.type == kind
    return run.step, run.data.loader(run.loader.index, 1, shuffle=False), run.device


def test_metrics_of_samples_are_the_losses_of_training_taken_apart(config: TestConfig) -> None:
    run = open_test(config)
    batch = next(iter(run.loader))
    with torch.no_grad():
        prediction = run.step.predict(batch, sample=False, render=True)
    values, terms = Metrics().of(run.step, prediction), run.step.terms(prediction)
    assert all(value.shape == (len(batch),) for value in values.values())
    for name, term in (("mesh", "verts"), ("tex", "tex"), ("screen", "screen")):
        assert float(values[name].mean()) == pytest.approx(float(terms[term]), rel=1e-5), name


def test_adapted_fits_a_copy_and_gets_better_where_it_fits(config: TestConfig) -> None:
    run = open_test(config)
    before = {key: value.clone() for key, value in run.step.model.state_dict().items()}
    weights = losses.LossWeights(screen=0.0)
    results = [
        adapted(
            run.step,
            run.data.loader(run.loader.index, 6, shuffle=True),
            CPU,
            weights,
            passes=passes,
            learning_rate=3e-3,
            seed=0,
        )
        for passes in (1, 12)
    ]
    assert results[1].values["tex"] < results[0].values["tex"]
    after = run.step.model.state_dict()
    assert all(torch.equal(value, after[key]) for key, value in before.items())
    assert all(parameter.grad is None for parameter in run.step.model.parameters())


def test_the_mean_prediction_is_the_level_to_beat(config: TestConfig) -> None:
    run = open_test(config)
    _, level = frozen(run.step, run.loader, CPU)
    assert level.values["tex_denorm"] == pytest.approx(level.values["tex"] * float(run.step.normalisation.tex_std) ** 2)
    assert level.to_json()["psnr"] is None
    meshes = [run.data.capture.vertices(key) for key in run.test_set.index.frames]
    mean = run.step.normalisation.vert_mean.numpy()
    wanted = sum(float(np.linalg.norm(mesh - mean, axis=1).mean()) for mesh in meshes)
    assert level.values["mesh_mm"] == pytest.approx(wanted / len(meshes), rel=1e-4)


def test_a_published_checkpoint_gives_the_same_numbers_as_ours(config: TestConfig, tmp_path: Path) -> None:
    from dataclasses import replace

    path = tmp_path / "best_model.pth"
    save_published(path, load_model(config.model_path))  # type: ignore[arg-type]
    ours, theirs = open_test(config), open_test(replace(config, model_path=path))
    assert theirs.step.model.info.camera_names is None
    left, right = (frozen(run.step, run.loader, CPU)[0].values for run in (ours, theirs))
    assert left == pytest.approx(right)


def test_cameras_the_model_does_not_know_are_named(config: TestConfig, tmp_path: Path) -> None:
    from dataclasses import replace as swap

    from multiface.models import save_model

    model = load_model(config.model_path)  # type: ignore[arg-type]
    assert model.info.camera_names is not None
    names = ("999999", *model.info.camera_names[1:])
    save_model(tmp_path / "other.safetensors", model, swap(model.info, camera_names=names))
    run = open_test(swap(config, model_path=tmp_path / "other.safetensors"))
    assert any("neutral colour correction" in note and model.info.camera_names[0] in note for note in run.notes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_path": None}, "no model was given"),
        ({"arch": "warp"}, "arch base, not warp"),
        ({"tex_size": 512}, "tex_size 256, not 512"),
        ({"nlatent": 16}, "nlatent 8, not 16"),
        ({"mesh_inp_size": 21918}, "mesh_inp_size does not fit"),
    ],
)
def test_what_does_not_fit_is_said_before_anything_is_measured(config: TestConfig, change: dict, message: str) -> None:
    from dataclasses import replace

    with pytest.raises(MultifaceError, match=message):
        open_test(replace(config, **change))


def test_a_capture_without_photos_is_measured_without_pictures(config: TestConfig, tmp_path: Path) -> None:
    import shutil
    from dataclasses import replace

    root = tmp_path / "no_photos"
    shutil.copytree(config.data_dir, root)  # type: ignore[arg-type]
    shutil.rmtree(root / "images")
    run = open_test(replace(config, data_dir=root))
    result, _ = frozen(run.step, run.loader, CPU)
    assert result.to_json()["psnr"] is None and result.to_json()["tex"] is not None
    assert any("no photos" in note for note in run.notes)


def test_result_txt_has_the_published_lines(config: TestConfig, tmp_path: Path) -> None:
    run = open_test(config)
    result, _ = frozen(run.step, run.loader, CPU)
    append_training_result(tmp_path / "train.txt", {"tex": 1, "verts": 2, "screen": 3}, {"tex": 4, "verts": 5, "screen": 6}, {})
    assert (tmp_path / "train.txt").read_text() == (
        "\nBest screen loss 3.000000, best tex loss 1.000000,  best vert loss 2.000000, "
        "screen loss 6.000000, tex loss 4.000000, vert_loss 5.000000, "
        "train screen loss nan, train tex loss nan, train vert loss nan"
    )
    append_test_result(tmp_path / "test.txt", result, "frozen")
    label, line = (tmp_path / "test.txt").read_text().splitlines()[1:]
    assert label.startswith("# frozen: nothing fitted")
    assert f"tex loss {result.values['tex_denorm']:f}" in line


def test_results_as_json_and_as_a_table_leave_out_what_was_not_asked_for(config: TestConfig) -> None:
    run = open_test(config)
    result, _ = frozen(run.step, run.loader, CPU)
    data = to_json({"frozen": result, "adapted": None})
    assert data["samples"] == 6 and data["adapted"] is None
    json.dumps(data, allow_nan=False)
    header, rows = table_rows({"frozen": result, "adapted": None})
    assert header == ["", "frozen"] and all(len(row) == 2 for row in rows)


def test_broken_files_are_left_out_of_both_reports_and_nothing_counts_twice(config: TestConfig, tmp_path: Path) -> None:
    import shutil
    from dataclasses import replace

    root = Path(shutil.copytree(config.data_dir, tmp_path / "broken"))  # type: ignore[arg-type]
    picture = next(root.glob("unwrapped_uv_256/EXP_ROM07_Facial_Expressions/400004/000105.*"))
    picture.write_bytes(picture.read_bytes()[:100])
    run = open_test(replace(config, data_dir=root, passes=1))
    results = run.measure()
    for name in ("frozen", "adapted"):
        result = results[name]
        assert result is not None and result.table is not None
        assert result.samples == 5 == len(set(result.table.samples)), name
    assert any("000105" in note and "left out" in note for note in run.notes)
