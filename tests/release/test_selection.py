"""From names to archives, and the meaning of the published configurations."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from multiface.core.errors import ArgumentError, FormatError
from multiface.release import Selection, choose, load_catalogue, read_published_config
from multiface.release.catalogue import archive_names

PEOPLE = load_catalogue().people
FLAGS = {"image": True, "texture": True, "mesh": True, "audio": True, "metadata": True}


def names(**chosen) -> list[str]:
    return [request.archive.name for request in choose(Selection(**chosen), PEOPLE).requests]


def config(folder: Path, **content) -> Path:
    path = folder / "config.json"
    path.write_text(json.dumps({"entity": ["6795937"], "expression": [], **FLAGS, **content}), encoding="utf-8")
    return path


def published_meaning(entities: list[str], flags: dict[str, bool], expressions: list[str]) -> set[str]:
    """The published downloader's choice, written down independently: skips, then substrings."""
    words = {"image": "images", "texture": "unwrapped_uv", "mesh": "tracked_mesh", "audio": "audio", "metadata": "metadata"}
    taken = set()
    for entity in entities:
        for name in archive_names(PEOPLE[entity]):
            if any(word in name and not flags[flag] for flag, word in words.items()):
                continue
            if "metadata" in name or "audio" in name or any(entry in name for entry in expressions):
                taken.add(f"{entity}/{name}")
    return taken


def test_everything_is_every_archive() -> None:
    assert len(names()) == 87_409


def test_a_segment_of_a_person() -> None:
    found = names(entities=("6795937",), segments=("E057_Cheeks_Puffed",))
    assert sorted(found) == [
        "images--E057_Cheeks_Puffed.tar",
        "metadata.tar",
        "tracked_mesh--E057_Cheeks_Puffed.tar",
        "unwrapped_uv_1024--E057_Cheeks_Puffed.tar",
    ]


def test_a_camera_of_a_split_segment_and_of_a_whole_one() -> None:
    chosen = choose(
        Selection(("6795937",), ("EXP_ROM07*", "E057*"), ("400002", "400004"), ("images", "textures", "average")), PEOPLE
    )
    found = {request.archive.name: request for request in chosen.requests}
    assert sorted(found) == [
        "images--E057_Cheeks_Puffed.tar",
        "images--EXP_ROM07_Facial_Expressions_cam400002.tar",
        "images--EXP_ROM07_Facial_Expressions_cam400004.tar",
        "unwrapped_uv_1024--E057_Cheeks_Puffed.tar",
        "unwrapped_uv_1024--EXP_ROM07_Facial_Expressions_cam400002.tar",
        "unwrapped_uv_1024--EXP_ROM07_Facial_Expressions_cam400004.tar",
        "unwrapped_uv_1024--EXP_ROM07_Facial_Expressions_camaverage.tar",
    ]
    assert found["images--E057_Cheeks_Puffed.tar"].cameras == {"400002", "400004"}
    assert found["unwrapped_uv_1024--E057_Cheeks_Puffed.tar"].cameras == {"400002", "400004", "average"}
    assert found["images--EXP_ROM07_Facial_Expressions_cam400002.tar"].cameras is None


def test_averages_alone() -> None:
    chosen = choose(Selection(("6795937",), ("EXP_ROM07*", "E057*"), (), ("average",)), PEOPLE)
    found = {request.archive.name: request.cameras for request in chosen.requests}
    assert found == {
        "unwrapped_uv_1024--E057_Cheeks_Puffed.tar": {"average"},
        "unwrapped_uv_1024--EXP_ROM07_Facial_Expressions_camaverage.tar": None,
    }


def test_audio_goes_with_sentences() -> None:
    (request,) = choose(Selection(("6795937",), ("SEN_theyre*", "E001*"), (), ("audio",)), PEOPLE).requests
    assert request.segments == {"SEN_theyre_going_to_louse_me_up_good"}
    with pytest.raises(ArgumentError, match="nothing is left"):
        names(entities=("6795937",), segments=("E001*",), assets=("audio",))


@pytest.mark.parametrize(
    ("chosen", "near"),
    [
        ({"entities": ("679593",)}, "6795937"),
        ({"entities": ("6795937",), "segments": ("cheeks_puffed",)}, "E057_Cheeks_Puffed"),
        ({"entities": ("6795937",), "segments": ("E057*", "E999*")}, "E099|--list segments"),
        ({"entities": ("6795937",), "cameras": ("400003",)}, "40000"),
        ({"assets": ("image",)}, "images"),
        ({"entities": ("*x*",)}, "--list people"),
    ],
)
def test_unknown_names_suggest_the_nearest(chosen: dict, near: str) -> None:
    with pytest.raises(ArgumentError, match=near):
        names(**chosen)


def test_what_only_some_people_lack_is_a_note() -> None:
    chosen = choose(Selection(("6795937", "5067077"), ("EXP_free_face", "E057*"), ("400262", "400002")), PEOPLE)
    notes = " ".join(chosen.notes)
    assert "6795937 has no segment EXP_free_face" in notes and "5067077 has no segment E057*" in notes
    assert "6795937 has no camera 400262" in notes


@pytest.mark.real
@pytest.mark.parametrize("name", ["download_config.json", "mini_download_config.json"])
def test_the_published_configurations_work_unchanged(shared: Path, name: str) -> None:
    path = shared / "release" / name
    content = json.loads(path.read_text(encoding="utf-8"))
    chosen = choose(Selection(config=read_published_config(path)), PEOPLE)
    found = {request.archive.key for request in chosen.requests}
    assert len(found) == len(chosen.requests) == (87_409 if name.startswith("download") else 8)
    if name.startswith("mini"):
        assert found == published_meaning(content["entity"], content, content["expression"])


@pytest.mark.parametrize(
    ("flags", "expressions"),
    [
        (FLAGS, ["EXP_eye"]),
        (FLAGS, ["_cam400004"]),
        (FLAGS, [""]),
        (FLAGS, []),
        ({**FLAGS, "image": False, "audio": False}, ["GAZ_G1_Regular"]),
        ({**FLAGS, "texture": False, "mesh": False, "metadata": False}, ["E00"]),
        (FLAGS, ["images--E0"]),
    ],
)
def test_the_published_meaning_of_a_configuration(tmp_path: Path, flags: dict, expressions: list[str]) -> None:
    entities = ["002645310", "6795937"]
    path = config(tmp_path, entity=entities, expression=expressions, **flags)
    found = {request.archive.key for request in choose(Selection(config=read_published_config(path)), PEOPLE).requests}
    assert found == published_meaning(entities, flags, expressions)


def test_options_narrow_a_configuration_down(tmp_path: Path) -> None:
    path = config(tmp_path, entity=["6795937", "6674443"], expression=["E057", "E061"])
    selection = Selection(("6795937",), ("E061*",), ("400002",), ("images",), read_published_config(path))
    (request,) = choose(selection, PEOPLE).requests
    assert request.archive.key == "6795937/images--E061_Lips_Puffed.tar" and request.cameras == {"400002"}


def test_an_expression_that_nobody_has_is_a_mistake_and_one_that_others_have_a_note(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="E057_Cheeks_Puffed"):
        choose(Selection(config=read_published_config(config(tmp_path, expression=["E057_Cheeks_Pufed"]))), PEOPLE)
    chosen = choose(Selection(config=read_published_config(config(tmp_path, expression=["E057", "EXP_free"]))), PEOPLE)
    assert "EXP_free" in chosen.notes[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("nonsense", "not JSON"),
        ("[1]", "no JSON object"),
        ('{"entity": ["6795937"]}', "without image"),
        (json.dumps({"entity": "6795937", "expression": [], **FLAGS}), "'entity' has the wrong type"),
        (json.dumps({"entity": [], "expression": [], **FLAGS, "image": 1}), "'image' has the wrong type"),
        (json.dumps({"entity": [], "expression": [], **FLAGS, "frames": 1}), "unknown key 'frames'"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_wrong_configurations(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(FormatError, match=says):
        read_published_config(path)
