from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiface.capture import CaptureLayout, FrameKey, frame_order, is_safe_name, segment_kind
from multiface.capture.names import entity_of
from multiface.core.errors import ArgumentError

KEY = FrameKey("E057_Cheeks_Puffed", "021897")
HOSTILE = ["..", ".", "", "../x", "a/b", "/etc", "a\\..\\b", "C:x", "a\0b", "a\nb", " .. ", "x" * 300]


def test_paths_are_the_published_ones() -> None:
    layout = CaptureLayout(Path("root"), 512)
    paths = {
        "images/E057_Cheeks_Puffed/400002/021897.png": layout.photo(KEY, "400002"),
        "unwrapped_uv_512/E057_Cheeks_Puffed/400002/021897.png": layout.texture(KEY, "400002"),
        "unwrapped_uv_512/E057_Cheeks_Puffed/average/021897.png": layout.average(KEY),
        "tracked_mesh/E057_Cheeks_Puffed/021897.bin": layout.vertices(KEY),
        "tracked_mesh/E057_Cheeks_Puffed/021897.obj": layout.mesh(KEY),
        "tracked_mesh/E057_Cheeks_Puffed/021897_transform.txt": layout.head_pose(KEY),
        "audio/SEN_x.wav": layout.audio("SEN_x"),
        "KRT": layout.krt,
        "frame_list.txt": layout.frame_list,
        "tex_mean.png": layout.tex_mean,
        "tex_var.txt": layout.tex_var,
        "vert_mean.bin": layout.vert_mean,
        "vert_var.txt": layout.vert_var,
    }
    for expected, path in paths.items():
        assert path == Path("root") / expected


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_leads_out_of_the_folder(name: str) -> None:
    layout = CaptureLayout(Path("root"))
    for ask in (
        lambda: layout.photo(KEY, name),
        lambda: layout.texture(FrameKey(name, "1"), "a"),
        lambda: layout.vertices(FrameKey("s", name)),
        lambda: layout.mesh(FrameKey("s", name)),
        lambda: layout.head_pose(FrameKey(name, "1")),
        lambda: layout.audio(name),
    ):
        with pytest.raises(ArgumentError):
            ask()


@given(st.text(max_size=12))
def test_a_safe_name_is_one_component(name: str) -> None:
    if is_safe_name(name):
        assert (Path("/root") / name).parent == Path("/root")
        assert name not in (".", "..")


def test_texture_size_is_checked() -> None:
    for size in (0, -1, 100000):
        with pytest.raises(ArgumentError):
            CaptureLayout(Path("root"), size)


def test_kinds_of_segments() -> None:
    kinds = {
        "E001_Neutral_Eyes_Open": "E",
        "EXP_ROM07_Facial_Expressions": "EXP",
        "GAZ_g001_400349_neutral": "GAZ",
        "SEN_a_voice_spoke_near-at-hand": "SEN",
        "Eyes": "other",
        "EXPERIMENT": "other",
        "E1_x": "other",
    }
    assert {name: segment_kind(name) for name in kinds} == kinds


def test_frames_sort_by_number() -> None:
    assert sorted(["b", "10", "000009", "a", "2"], key=frame_order) == ["2", "000009", "10", "a", "b"]


@pytest.mark.parametrize(
    ("name", "entity"),
    [
        ("m--20180227--0000--6795937--GHS", "6795937"),
        ("m--20180105--0000--002539136--GHS", "002539136"),
        ("me", None),
        ("a--b", "a"),
    ],
)
def test_entity_is_the_second_field_from_the_end(name: str, entity: str | None) -> None:
    assert entity_of(name) == entity
