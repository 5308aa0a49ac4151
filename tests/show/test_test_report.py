"""The pages of tests, in a browser: no errors, pictures load, sliders move, nothing wider than a phone, light and dark."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from browser import Browser, find_browser
from multiface.evaluate.compare import Compared, comparison_rows
from multiface.evaluate.run import TestRun, open_test
from multiface.evaluate.settle import plan_test
from multiface.show.test_report import write_test_page
from multiface.show.test_report_models import still_of, write_models_page
from multiface.show.test_report_stills import stills_of
from multiface.train.config import TestConfig

needs_browser = pytest.mark.skipif(find_browser() is None, reason="no Chromium here")


@pytest.fixture(scope="module")
def measured(trainable_capture: Path, trained_run: Path, tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("page")
    model = trained_run / "model.safetensors"
    run = open_test(TestConfig(data_dir=trainable_capture, model_path=model, result_path=out, n_worker=1, report="frozen"))
    return run, run.measure()


@pytest.fixture(scope="module")
def page(measured, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run, results = measured
    return write_test_page(tmp_path_factory.mktemp("page") / "report.html", run, results)


def test_the_worst_frame_comes_first_and_colours_are_named(measured, page: Path) -> None:
    _, results = measured
    frozen = results["frozen"]
    text = page.read_text(encoding="utf-8")
    worst = frozen.table.samples[frozen.worst("psnr", 1)[0]]
    assert f"1. {worst.key.segment} {worst.key.frame}, camera {worst.camera}" in text
    assert text.index("1. EXP_ROM07") < text.index("2. EXP_ROM07")
    assert "Pictures are in display colours" in text and "linear camera units" in text
    assert "SHA-256 of the samples" in text and not re.search(r"""(src|href)=["']?https?:""", text)


@needs_browser
@pytest.mark.parametrize("phone", [True, False])
def test_the_page_is_alive_in_a_browser(page: Path, tmp_path: Path, phone: bool) -> None:
    with Browser(tmp_path, width=390 if phone else 1280, phone=phone, dark=phone) as browser:
        browser.open(page)
        widths = browser.run("[...document.querySelectorAll('main img')].map(i => i.naturalWidth)")
        assert len(widths) >= 6 and all(widths)
        assert browser.run("document.documentElement.scrollWidth") <= browser.run("innerWidth")
        shown = "getComputedStyle(document.querySelector('.slide .over')).clipPath"
        before = browser.run(shown)
        browser.run("r = document.querySelector('.slide input'), r.value = 15, r.dispatchEvent(new Event('input')), 1")
        assert browser.run(shown) != before
        paper = sum(map(int, re.findall(r"\d+", browser.run("getComputedStyle(document.body).backgroundColor"))[:3]))
        assert paper < 120 if phone else paper > 600
        assert browser.errors == []


@needs_browser
def test_the_page_of_many_models_is_alive_too(measured, trainable_capture: Path, tmp_path: Path) -> None:
    run, results = measured
    plan = plan_test(TestConfig(data_dir=trainable_capture, n_worker=1))
    models = [
        Compared("a", Path("a"), run.step.model.info, 1_000_000, results, None, ("a note",)),
        Compared("b", Path("b"), problem="is not a checkpoint"),
    ]
    still = still_of(run, models[0])
    assert still is not None
    page = write_models_page(tmp_path / "report.html", plan, models, [still])
    header, rows = comparison_rows(models)
    assert header[:3] == ["model", "arch", "frozen: PSNR (dB)"] and header[-3:] == ["T", "Z", "weights (M)"]
    assert all(len(row) == len(header) for row in rows) and rows[0][-1] == "1.0"
    with Browser(tmp_path, width=390, phone=True) as browser:
        browser.open(page)
        assert all(browser.run("[...document.querySelectorAll('main img')].map(i => i.naturalWidth)"))
        assert browser.run("document.documentElement.scrollWidth") <= browser.run("innerWidth")
        text = browser.run("document.body.innerText")
        assert "is not a checkpoint" in text and "not tested" in text and "a note" in text
        assert browser.errors == []


def test_stills_made_together_are_those_made_one_by_one(measured) -> None:
    run, _ = measured
    samples = run.test_set.index.samples
    together = stills_of(run, samples, 4)
    assert [still.sample for still in together] == list(samples)
    for still, sample in zip(together, samples, strict=True):
        alone = stills_of(run, [sample], 1)[0]
        assert still.kind == alone.kind == "photo" and np.array_equal(still.truth, alone.truth)
        for shown, other in ((still.shown, alone.shown), (still.difference, alone.difference)):
            assert np.mean(shown != other) < 0.01  # a value on the border between two bytes may fall on either side
    assert stills_of(run, []) == []


def test_without_photos_textures_are_shown(trainable_capture: Path, trained_run: Path, tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "no_photos"
    shutil.copytree(trainable_capture, root, ignore=shutil.ignore_patterns("images"))
    model = trained_run / "model.safetensors"
    run: TestRun = open_test(TestConfig(data_dir=root, model_path=model, result_path=tmp_path / "out", n_worker=1))
    still = stills_of(run, run.test_set.index.samples[:1])[0]
    assert still.kind == "texture" and still.truth.shape == still.shown.shape == still.difference.shape == (256, 256, 3)
