"""Protocol files: the built-in ones say what is published, one's own are checked, rules become exact lists."""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path

import pytest

from multiface.capture import Capture
from multiface.core.errors import ArgumentError, CaptureError, FormatError, MultifaceError
from multiface.evaluate.protocol import built_in, load_protocol, parse_protocol
from multiface.evaluate.resolve import resolve
from multiface.evaluate.training_files import training_files

NOVEL = ("novel-view", "novel-expression-and-view")
OWN = {
    "format": 1,
    "name": "mine",
    "anyone": {
        "segments": {"names": ["EXP_ROM07_Facial_Expressions"]},
        "frames": {"EXP_ROM07_Facial_Expressions": ["000102", "000105"]},
        "cameras": ["400002", "400004"],
    },
}


@pytest.fixture
def capture(small_capture_folder: Path) -> Capture:
    return Capture(small_capture_folder)


def own(tmp_path: Path, **changes) -> str:
    content = copy.deepcopy(OWN)
    content["anyone"] |= {key: changes.pop(key) for key in ("segments", "frames", "cameras") if key in changes}
    path = tmp_path / "mine.json"
    path.write_text(json.dumps({**content, **changes}))
    return str(path)


def test_the_built_in_protocols() -> None:
    assert built_in() == ["mini", "novel-expression-and-view", "novel-view", "published/v1", "published/v2"]
    for name in built_in():
        assert load_protocol(name).name == name


def test_all_55_published_figures_are_there() -> None:
    figures = {**load_protocol("published/v1").figures, **load_protocol("published/v2").figures}
    assert len(figures) == 11 and sum(map(len, figures.values())) == 55
    assert all(set(by_arch) == {"base", "res", "warp", "non", "bilinear"} for by_arch in figures.values())
    assert figures["002421669"]["non"] == {"tex_denorm": 23.371122, "mesh": 0.010628}
    assert figures["6795937"]["base"] == {"tex_denorm": 12.515156, "mesh": 0.022909}


@pytest.mark.real
def test_figures_and_cameras_are_those_of_the_published_tables(shared: Path) -> None:
    import re

    table = (shared / "spec" / "training-and-testing.md").read_text(encoding="utf-8")
    splits = json.loads((shared / "release" / "camera-splits.json").read_text())
    rows = re.findall(r"^\| (\d{7,9}) \| (.*) \|$", table, re.MULTILINE)
    assert len(rows) == 11
    for entity, cells in rows:
        protocol = next(p for p in map(load_protocol, ("published/v1", "published/v2")) if entity in p.people)
        for arch, cell in zip(("base", "res", "warp", "non", "bilinear"), cells.split("|")):
            tex, mesh = map(float, cell.split("/"))
            assert protocol.figures[entity][arch] == {"tex_denorm": tex, "mesh": mesh}
        assert sorted(protocol.people[entity].cameras) == sorted(splits[entity]["test"])
        for name in NOVEL:
            held_out = load_protocol(name).people[entity].cameras
            assert held_out == sorted(splits[entity]["test"])[2::5]


@pytest.mark.real
def test_the_mini_protocol_has_the_frames_of_the_mini_list(shared: Path) -> None:
    lines = (shared / "release" / "mini_frame_list.txt").read_text().split("\n")
    wanted = sorted(line.split()[1] for line in lines if line.startswith("E061_Lips_Puffed"))
    assert load_protocol("mini").people["6795937"].frames == {"E061_Lips_Puffed": wanted}
    assert len(wanted) == 64


def test_rules_become_exact_lists(capture: Capture) -> None:
    test_set = resolve(load_protocol("novel-view"), capture)
    assert test_set.cameras == ("400004",)
    segments = {key.segment for key in test_set.frames}
    assert segments == {"E001_Neutral_Eyes_Open", "SEN_a_voice"}
    assert len(test_set.index) == 2  # of two frames each, the rule takes the last one
    other = resolve(load_protocol("novel-expression-and-view"), capture)
    assert {key.segment for key in other.frames} == {"EXP_ROM07_Facial_Expressions"} and other.digest != test_set.digest


def test_the_exact_form_is_a_protocol_and_measures_the_same_samples(capture: Capture, tmp_path: Path) -> None:
    for name in NOVEL:
        first = resolve(load_protocol(name), capture)
        (tmp_path / "exact.json").write_text(json.dumps(first.exact()))
        again = resolve(load_protocol(str(tmp_path / "exact.json")), capture)
        assert again.digest == first.digest and again.index.samples == first.index.samples


def test_digests_follow_content_not_layout(tmp_path: Path) -> None:
    first = load_protocol(own(tmp_path))
    path = tmp_path / "other.json"
    path.write_text(json.dumps(dict(reversed(list(OWN.items()))), indent=3))
    assert load_protocol(str(path)).digest == first.digest
    assert load_protocol(own(tmp_path, version=2)).digest != first.digest


def test_training_files_leave_out_what_is_tested(capture: Capture, tmp_path: Path) -> None:
    from multiface.data import load_camera_split, read_test_segments

    test_set = resolve(load_protocol("novel-expression-and-view"), capture)
    for name, content in training_files(test_set, capture).items():
        (tmp_path / name).write_text(json.dumps(content))
    split = load_camera_split(capture, tmp_path / "camera-split.json")
    assert not set(split.used) & set(test_set.cameras) and split.visual == test_set.cameras
    assert read_test_segments(tmp_path / "test-segments.json") == ("EXP_ROM07_Facial_Expressions",)


def test_absent_frames_and_cameras_are_listed_and_refused(capture: Capture, tmp_path: Path) -> None:
    frames = {"EXP_ROM07_Facial_Expressions": ["000102", "000105", "999999"]}
    name = own(tmp_path, frames=frames, cameras=["400002", "400099"])
    with pytest.raises(CaptureError, match="400099") as refused:
        resolve(load_protocol(name), capture)
    assert "EXP_ROM07_Facial_Expressions/999999" in str(refused.value) and "--allow_missing" in str(refused.value)
    allowed = resolve(load_protocol(name), capture, allow_missing=True)
    assert allowed.label == "mine, INCOMPLETE: 1 of 2 cameras absent, 1 of 3 frames absent"
    assert len(allowed.index) == 2 and not allowed.to_json()["complete"]


def test_many_absent_cameras_do_not_hide_absent_frames(capture: Capture, tmp_path: Path) -> None:
    cameras = [f"5000{number:02d}" for number in range(38)]
    frames = {"EXP_ROM07_Facial_Expressions": [str(number) for number in range(999000, 999020)]}
    with pytest.raises(CaptureError) as refused:
        resolve(load_protocol(own(tmp_path, frames=frames, cameras=["400002", *cameras])), capture)
    message = str(refused.value)
    assert all(name in message for name in cameras) and "/999000" in message and "and 8 more" in message


def test_absent_segments_are_refused_or_counted(capture: Capture, tmp_path: Path) -> None:
    segments = {"names": ["EXP_ROM07_Facial_Expressions", "EXP_tongue"]}
    name = own(tmp_path, segments=segments, frames="all")
    with pytest.raises(CaptureError, match="EXP_tongue"):
        resolve(load_protocol(name), capture)
    assert "1 segments absent" in resolve(load_protocol(name), capture, allow_missing=True).label


def test_single_pairs_are_refused_unless_the_protocol_says_otherwise(small_capture_folder: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_capture_folder, tmp_path / "m--1--2--42--GHS"))
    next(root.glob("unwrapped_uv_16/EXP_ROM07_Facial_Expressions/400004/000105.*")).unlink()
    capture = Capture(root)
    with pytest.raises(CaptureError, match="000105/400004"):
        resolve(load_protocol(own(tmp_path)), capture)
    existing = resolve(load_protocol(own(tmp_path, pairs="existing")), capture)
    assert existing.absent_pairs == 1 and existing.label == "mine" and len(existing.index) == 3


def test_one_missing_photo_changes_nothing_else(small_capture_folder: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_capture_folder, tmp_path / "m--1--2--42--GHS"))
    whole = resolve(load_protocol(own(tmp_path)), Capture(root))
    next(root.glob("images/EXP_ROM07_Facial_Expressions/400004/000105.*")).unlink()
    test_set = resolve(load_protocol(own(tmp_path)), Capture(root))
    assert whole.with_photos and not test_set.with_photos and test_set.digest == whole.digest


def test_required_photos_that_are_absent_are_refused(small_capture_folder: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(small_capture_folder, tmp_path / "m--1--2--42--GHS"))
    shutil.rmtree(root / "images")
    assert not resolve(load_protocol(own(tmp_path)), Capture(root)).with_photos
    with pytest.raises(CaptureError, match="no photo of this camera"):
        resolve(load_protocol(own(tmp_path, pictures="required")), Capture(root))


def test_a_protocol_for_certain_people_refuses_others(capture: Capture) -> None:
    with pytest.raises(ArgumentError, match=r"002643814.*entity 42"):
        resolve(load_protocol("published/v1"), capture)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "'format'"),
        ({"nmae": "x"}, r"unknown fields: nmae \(expected only .*name"),
        ({"anyone": {"camras": ["1"]}}, r"of a person: camras \(expected only cameras, frames, segments\)"),
        ({"name": ""}, "'name'"),
        ({"masks": {"texture": "all"}}, "'masks'"),
        ({"anyone": None}, "'people' or 'anyone'"),
        ({"segments": {"names": []}}, "'segments'"),
        ({"segments": {"names": ["a"], "prefixes": ["b"]}}, "'segments'"),
        ({"frames": {"every": 0, "from": 0}}, "'frames'"),
        ({"frames": {"OTHER": ["1"]}}, "listed by segment"),
        ({"cameras": ["a", "a"]}, "'cameras'"),
        ({"cameras": ["../a"]}, "'cameras'"),
        ({"pairs": "some"}, "'pairs'"),
        ({"reports": []}, "'reports'"),
        ({"adapted": {"passes": "many"}}, "'passes'"),
        ({"adapted": {"speed": 3}}, "'adapted'"),
        ({"figures": {"1": {"base": {"tex": "low"}}}}, "'figures'"),
        ({"resolution": [0, 4]}, "'resolution'"),
        ({"regions": {"lips": [[[0, 0]]]}}, "regions"),
    ],
)
def test_mistakes_in_a_file_are_named(tmp_path: Path, change: dict, message: str) -> None:
    with pytest.raises(FormatError, match=message) as refused:
        load_protocol(own(tmp_path, **change))
    assert "mine.json" in str(refused.value)


def test_what_is_no_protocol_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="nearest published/v"):
        load_protocol("published")
    for text in ("[1, 2]", "{", '{"format": 1}'):
        (tmp_path / "p.json").write_text(text)
        with pytest.raises(MultifaceError):
            load_protocol(str(tmp_path / "p.json"))
    with pytest.raises(FormatError):
        parse_protocol(None, "nowhere")
