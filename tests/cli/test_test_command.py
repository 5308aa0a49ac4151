"""``multiface test`` and ``multiface protocols`` as they are used: tables, files, labels, comparison of models."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from rich.console import Console

from multiface.capture import read_image
from multiface.cli import run
from multiface.cli.table import print_rows, tables_that_fit
from multiface.cli.test import PARTS, given_options
from multiface.evaluate.compare import Compared, comparison_rows
from multiface.evaluate.figures import Published
from multiface.evaluate.measurement import Measurement
from multiface.evaluate.report import table_rows

SEGMENT = "EXP_ROM07_Facial_Expressions"


@pytest.fixture(scope="module")
def whole_test(trainable_capture: Path, trained_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both reports with everything written."""
    out = tmp_path_factory.mktemp("test")
    words = ["test", str(trainable_capture), "--model_path", str(trained_run / "model.safetensors"), "--passes", "2"]
    assert run([*words, "--result_path", str(out), "--lambda_screen", "1", "--images", "1"]) == 0
    return out


def test_one_table_has_both_reports_with_intervals_groups_and_digests(whole_test: Path) -> None:
    result = json.loads((whole_test / "result.json").read_text())
    assert result["samples"] == 6 and result["protocol"]["complete"] and result["published"] is None
    for report in ("frozen", "adapted"):
        values, details = result[report], result["details"][report]
        assert "lpips" not in values and all(values[key] > 0 for key in ("psnr", "ssim", "tex_denorm", "mesh_mm", "tex_psnr"))
        assert details["frames"] == 2 and 0 < details["ci95"]["psnr"]
        assert list(details["segments"]) == [SEGMENT] and len(details["cameras"]) == 3
        assert sum(group["samples"] for group in details["cameras"].values()) == 6
    assert any("no regions" in note for note in result["notes"])


def test_pictures_of_the_first_batches_are_there(whole_test: Path) -> None:
    names = sorted(path.name for path in (whole_test / "pictures").iterdir())
    assert names == ["gt_tex_val_0_0.png", "gt_val_0_0.png", "pred_tex_val_0_0.png", "pred_val_0_0.png"]
    assert all(read_image(whole_test / "pictures" / name).max() > 0 for name in names)


def test_what_was_measured_is_named_where_people_read(whole_test: Path) -> None:
    digest = json.loads((whole_test / "result.json").read_text())["protocol"]["samples_sha256"]
    assert (whole_test / "result.txt").read_text(encoding="utf-8").count(digest) == 2
    page = (whole_test / "report.html").read_text(encoding="utf-8")
    assert digest in page and "Protocol options. \u00b1" in page


def test_a_narrow_terminal_breaks_no_number() -> None:
    values = {"tex_denorm": 28.824, "tex_psnr": 30.42, "mesh": 0.2091}
    results = {name: Measurement(84, values, {"tex_denorm": 2.1621, "mesh": 0.057}) for name in ("frozen", "adapted", "mean")}
    file = io.StringIO()
    published = Published("published/v1", {"tex_denorm": 12.515156}, True)
    print_rows(Console(width=80, file=file), "84 test samples", *table_rows(results, published), whole=True)
    text = file.getvalue()
    assert text.count("28.8240 \u00b1 2.1621") == 3 and "12.5152" in text and "0.2091 \u00b1 0.0570" in text


def test_many_models_fit_a_narrow_terminal() -> None:
    values = {"psnr": 29.28, "ssim": 0.9238, "tex_denorm": 18.7499, "mesh_mm": 1.146, "mesh": 0.5341}
    results = {name: Measurement(4, values) for name in ("frozen", "adapted", "mean")}
    figure = Published("published/v1", {"tex_denorm": 12.5152, "mesh": 0.0229}, True)
    name = "6795937--GHS-base_nosl"
    comparison = comparison_rows([Compared(name, Path(name), None, 1, results, figure)], brief=True)
    for width, tables in ((80, 2), (200, 1)):
        file = io.StringIO()
        for header, rows in tables_that_fit(*comparison, width, PARTS):
            print_rows(Console(width=width, file=file), "4 test samples, protocol tiny", header, rows, whole=True)
        text = file.getvalue()
        assert text.count("protocol tiny") == tables and max(map(len, text.splitlines())) <= width
        assert all(
            text.count(number) == count for number, count in (("18.7499", 2), ("1.146", 1), ("0.5341", 1), ("0.0229", 1))
        )


def test_csv_files_agree_with_the_json(whole_test: Path) -> None:
    result = json.loads((whole_test / "result.json").read_text())
    with (whole_test / "result.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    psnr = next(row for row in rows if (row["report"], row["group"], row["metric"]) == ("frozen", "all", "psnr"))
    assert float(psnr["value"]) == pytest.approx(result["frozen"]["psnr"], rel=1e-6)
    with (whole_test / "samples.csv").open(encoding="utf-8") as file:
        samples = [row for row in csv.DictReader(file) if row["report"] == "frozen"]
    assert len(samples) == 6
    mean = sum(float(row["mesh_mm"]) for row in samples) / 6
    assert mean == pytest.approx(result["frozen"]["mesh_mm"], rel=1e-6)


def test_a_protocol_file_that_a_test_wrote_repeats_it(
    whole_test: Path, trainable_capture: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["test", str(trainable_capture), "--model_path", str(trained_run / "model.safetensors"), "--json", "--no-page"]
    words += ["--protocol", str(whole_test / "protocol.json"), "--report", "frozen", "--result_path", str(tmp_path)]
    assert run([*words, "--images", "0"]) == 0
    again = json.loads(capsys.readouterr().out)
    first = json.loads((whole_test / "result.json").read_text())
    assert again["protocol"]["samples_sha256"] == first["protocol"]["samples_sha256"]
    assert again["frozen"]["psnr"] == pytest.approx(first["frozen"]["psnr"], rel=1e-5)
    assert again["adapted"] is None and not (tmp_path / "report.html").exists()
    assert list(again["seconds"]) == ["imports", "opening", "measuring", "tables"] and min(again["seconds"].values()) >= 0
    assert "seconds" not in json.loads((tmp_path / "result.json").read_text()), "the same test gives the same file"


def test_what_is_missing_or_changed_stands_in_every_table(
    trainable_capture: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    protocol = {
        "format": 1,
        "name": "mine",
        "anyone": {
            "segments": {"names": [SEGMENT]},
            "frames": {SEGMENT: ["000102", "999999"]},
            "cameras": ["400002", "499999"],
        },
        "adapted": {"passes": 3},
    }
    (tmp_path / "mine.json").write_text(json.dumps(protocol))
    words = ["test", str(trainable_capture), "--model_path", str(trained_run / "model.safetensors"), "--protocol"]
    words += [str(tmp_path / "mine.json"), "--result_path", str(tmp_path / "out"), "--passes", "1", "--images", "0"]
    assert run(words) == 2
    message = " ".join(capsys.readouterr().err.split())
    assert "499999" in message and "999999" in message and "--allow_missing" in message
    assert not (tmp_path / "out").exists()
    assert run([*words, "--allow_missing", "--json"]) == 0
    captured = capsys.readouterr()
    label = "mine, INCOMPLETE: 1 of 2 cameras absent, 1 of 2 frames absent, CHANGED: passes 1 instead of 3"
    assert label in " ".join(captured.err.split())
    assert json.loads(captured.out)["protocol"]["label"] == label
    for name in ("report.html", "result.csv", "samples.csv", "result.txt"):
        assert label in (tmp_path / "out" / name).read_text(encoding="utf-8"), name
    tables = (tmp_path / "out" / "report.html").read_text(encoding="utf-8").split("<table>")[1:]
    assert len(tables) == 4 and all(label in table for table in tables)


def test_options_that_a_protocol_settles_are_refused(
    trainable_capture: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    words = ["test", str(trainable_capture), "--model_path", str(trained_run / "model.safetensors")]
    split = tmp_path / "s.json"
    split.write_text("{}")
    assert run([*words, "--protocol", "novel-view", "--camera_config", str(split)]) == 2
    assert "--camera_config" in capsys.readouterr().err
    assert run([*words, "--protocol", "publishd/v1"]) == 2
    assert "published/v1" in capsys.readouterr().err
    assert run([*words, "--models", str(tmp_path)]) == 2
    assert "cannot be given together" in capsys.readouterr().err


def test_options_are_recognised_however_they_are_spelled() -> None:
    words = ["capture", "--model-path", "m", "--passes=3", "--no-page", "--test_segment", "x", "--lambda-screen", "1"]
    assert given_options(words) == {"model_path", "passes", "page", "test_segment_config", "lambda_screen"}


def test_the_published_figure_stands_beside_ours(
    trainable_capture: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    person = tmp_path / "m--20180227--0000--6795937--GHS"
    person.symlink_to(trainable_capture, target_is_directory=True)
    words = ["test", str(person), "--model_path", str(trained_run / "model.safetensors"), "--report", "frozen", "--json"]
    assert run([*words, "--result_path", str(tmp_path / "out"), "--images", "0", "--no-page"]) == 0
    captured = capsys.readouterr()
    published = json.loads(captured.out)["published"]
    assert published == {"tex_denorm": 12.515156, "mesh": 0.022909, "protocol": "published/v1", "same_protocol": False}
    assert "12.5152" in captured.err and "published/v1" in captured.err


def test_models_of_a_folder_in_one_table(
    trainable_capture: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    models = tmp_path / "models"
    for name in ("one", "two"):
        (models / name / "states").mkdir(parents=True)
        shutil.copy(trained_run / "model.safetensors", models / name / "model.safetensors")
        (models / name / "states" / "1.safetensors").write_bytes(b"a training state, no model")
    words = ["test", str(trainable_capture), "--models", str(models), "--report", "frozen", "--json"]
    words += ["--result_path", str(tmp_path / "out")]
    assert run(words) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["protocol"]["samples_sha256"] in captured.err
    found = {model["name"]: model for model in json.loads(captured.out)["models"]}
    assert list(found) == ["one", "two"] and found["one"]["model"]["arch"] == "base"
    assert found["one"]["result"]["frozen"]["psnr"] == pytest.approx(found["two"]["result"]["frozen"]["psnr"])
    with (tmp_path / "out" / "result.csv").open(encoding="utf-8") as file:
        assert {row["model"] for row in csv.DictReader(file)} == {"one", "two"}
    assert "<input" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_model_that_cannot_be_tested_is_named_and_the_others_are_measured(
    trainable_capture: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    models = tmp_path / "models"
    (models / "good").mkdir(parents=True)
    shutil.copy(trained_run / "model.safetensors", models / "good" / "model.safetensors")
    (models / "junk.pth").write_bytes(b"nothing of the kind")
    words = ["test", str(trainable_capture), "--models", str(models), "--report", "frozen", "--json", "--no-page"]
    assert run([*words, "--result_path", str(tmp_path / "out")]) == 2
    captured = capsys.readouterr()
    assert "not tested: junk.pth" in captured.err
    found = {model["name"]: model for model in json.loads(captured.out)["models"]}
    assert found["junk.pth"]["result"] is None and found["good"]["result"]["frozen"]["psnr"] > 0
    (tmp_path / "empty").mkdir()
    nothing = ["test", str(trainable_capture), "--models", str(tmp_path / "empty"), "--result_path", str(tmp_path / "none")]
    assert run(nothing) == 2
    assert "no checkpoint" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_protocols_are_listed_and_resolved(trainable_capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert run(["protocols", "--json"]) == 0
    names = [protocol["name"] for protocol in json.loads(capsys.readouterr().out)["protocols"]]
    assert names == ["mini", "novel-expression-and-view", "novel-view", "published/v1", "published/v2"]
    assert run(["protocols", "novel-view", str(trainable_capture), "--out", str(tmp_path / "files"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["cameras"] == 1 and found["samples"] == 2 and len(found["files"]) == 3
    assert run(["protocols", "novel-view", "--out", str(tmp_path)]) == 2
    assert run(["protocols", "mini", str(trainable_capture)]) == 2
    assert "6795937" in capsys.readouterr().err


def test_a_model_of_the_written_files_sees_novel_views(
    trainable_capture: Path, trained_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run(["protocols", "novel-view", str(trainable_capture), "--out", str(tmp_path)]) == 0
    words = ["train", str(trainable_capture), "--camera_config", str(tmp_path / "camera-split.json"), "--nlatent", "4"]
    words += [
        "--test_segment_config",
        str(tmp_path / "test-segments.json"),
        "--max_iter",
        "1",
        "--train_batch_size",
        "2",
        "--validation",
        "none",
    ]
    assert run([*words, "--result_path", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    notes = {}
    for name, model in (("novel", tmp_path / "run"), ("seen", trained_run)):
        words = ["test", str(trainable_capture), "--model_path", str(model / "model.safetensors"), "--protocol", "novel-view"]
        assert run([*words, "--json", "--no-page", "--images", "0", "--result_path", str(tmp_path / name)]) == 0
        notes[name] = " ".join(json.loads(capsys.readouterr().out)["notes"])
    assert "neutral colour correction: 400004" in notes["novel"] and "NOT NOVEL" not in notes["novel"]
    assert "NOT NOVEL VIEWS: the model was made with these cameras: 400004" in notes["seen"]
