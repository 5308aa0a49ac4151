"""Options as the published documentation spells them."""

from __future__ import annotations

from pathlib import Path

import pytest

from multiface.cli.options import expand_abbreviations, named_options, parse
from multiface.core.errors import ArgumentError
from multiface.train.config import TestConfig, TrainConfig

PUBLISHED = {
    "local_rank": "0", "val_batch_size": "8", "arch": "warp", "nlatent": "128", "lr": "3e-4", "resolution": "2048 1334",
    "tex_size": "1024", "mesh_inp_size": "21918", "data_dir": "d", "krt_dir": "d/KRT", "loss_weight_mask": "m.png",
    "framelist_test": "f.txt", "test_segment_config": "s.json", "lambda_verts": "1", "lambda_screen": "0", "lambda_tex": "1",
    "lambda_kl": "1e-2", "max_iter": "200000", "log_every": "1000", "val_every": "5000", "val_num": "500", "n_worker": "8",
    "pass_thres": "50", "result_path": "runs/x",
}  # fmt: skip
TRAIN_ONLY = {"train_batch_size": "16", "epochs": "50", "framelist_train": "f.txt", "model_ckpt": "m.pth"}


def words(options: dict[str, str], dash: str = "_") -> list[str]:
    return [word for name, value in options.items() for word in (f"--{name.replace('_', dash)}", *value.split())]


@pytest.mark.parametrize("dash", ["_", "-"])
def test_train_takes_every_published_option(dash: str) -> None:
    config = parse(TrainConfig, words({**PUBLISHED, **TRAIN_ONLY}, dash), command="train", description="")
    assert config.resolution == (2048, 1334) and config.arch == "warp" and config.lambda_kl == 0.01
    assert config.model_ckpt == Path("m.pth") and config.krt_dir == Path("d/KRT")


def test_test_takes_every_published_option() -> None:
    config = parse(TestConfig, words({**PUBLISHED, "model_path": "m.pth"}), command="test", description="")
    assert config.model_path == Path("m.pth") and config.nlatent == 128


def test_published_defaults() -> None:
    config = parse(TrainConfig, [], command="train", description="")
    integers = {
        "train_batch_size": 16,
        "val_batch_size": 8,
        "nlatent": 256,
        "epochs": 50,
        "max_iter": 200000,
        "log_every": 1000,
    }
    more = {"val_every": 5000, "val_num": 500, "n_worker": 8, "pass_thres": 50, "arch": "base", "lr": 3e-4}
    expected = integers | more | {"lambda_verts": 1, "lambda_screen": 0, "lambda_tex": 1, "lambda_kl": 1e-2}
    assert {name: getattr(config, name) for name in expected} == expected


def test_abbreviations_of_the_public_documentation() -> None:
    line = "--data_dir d --framelist_te f.txt --test_segment s.json --lambda_scr 1 --arch=res"
    config = parse(TrainConfig, line.split(), command="train", description="")
    assert (config.test_segment_config, config.lambda_screen, config.arch) == (Path("s.json"), 1.0, "res")


def test_the_first_word_is_the_capture() -> None:
    config = parse(TrainConfig, ["d", "--max_iter", "3"], command="train", description="", first="data_dir")
    assert (config.data_dir, config.max_iter) == (Path("d"), 3)


def test_options_are_known_to_be_named_also_where_they_say_the_default() -> None:
    words = ["d", "--arch", "base", "--no-compile", "--over", "--model-path=m", "--", "--seed"]
    named = named_options(TrainConfig, words, first="data_dir", aliases={"model_path": "model_ckpt", "over": "overwrite"})
    assert named == {"data_dir", "arch", "compile", "overwrite", "model_ckpt"}


def test_ambiguous_beginnings_are_refused_with_the_choices() -> None:
    with pytest.raises(ArgumentError, match="--lambda_kl, --lambda_screen"):
        expand_abbreviations(["--lambda", "1"], ["lambda_kl", "lambda_screen"])


def test_values_and_what_follows_a_double_dash_are_left_alone() -> None:
    argv = ["--name", "--nam", "x", "--", "--nam"]
    assert expand_abbreviations(argv, ["name"]) == ["--name", "--name", "x", "--", "--nam"]


@pytest.mark.parametrize("bad", [["--lr", "0"], ["--epochs", "0"], ["--lambda_tex", "-1"], ["--resolution", "0", "5"]])
def test_values_that_make_no_sense_are_refused(bad: list[str]) -> None:
    with pytest.raises((ArgumentError, SystemExit)) as caught:
        parse(TrainConfig, bad, command="train", description="")
    if isinstance(caught.value, SystemExit):
        assert caught.value.code == 2


@pytest.mark.parametrize("argv", [["--no_such_option", "1"], ["--epochs", "many"], ["--arch", "vae"], ["--resolution", "5"]])
def test_the_parser_refuses_with_status_2(argv: list[str], capsys: pytest.CaptureFixture) -> None:
    with pytest.raises(SystemExit) as caught:
        parse(TrainConfig, argv, command="train", description="")
    assert caught.value.code == 2
    assert argv[0].strip("-") in capsys.readouterr().err
