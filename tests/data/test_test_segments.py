"""Test-segment files."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from multiface.core.errors import CaptureError, FormatError
from multiface.data import check_test_segments, read_test_segments

SEGMENTS = ["E057_Cheeks_Puffed", "E061_Lips_Puffed", "EXP_ROM07_Facial_Expressions", "SEN_a_voice"]


def test_the_published_default():
    assert read_test_segments(None) == ("EXP_ROM", "EXP_free_face")


def test_prefixes_are_read_in_order(tmp_path):
    path = tmp_path / "mini.json"
    path.write_text('\ufeff{"segment": ["E061_Lips_Puffed", "SEN_"], "remark": 1}', encoding="utf-8")
    assert read_test_segments(path) == ("E061_Lips_Puffed", "SEN_")


@pytest.mark.parametrize(
    "content",
    ['{"segments": ["a"]}', '{"segment": []}', '{"segment": "EXP"}', '{"segment": [1]}', '{"segment": [""]}', "[]", "3"],
)
def test_another_content_is_refused_with_the_form_that_is_expected(tmp_path, content):
    path = tmp_path / "segments.json"
    path.write_text(content)
    with pytest.raises(FormatError, match=r'segments\.json.*expected \{"segment"'):
        read_test_segments(path)


def test_broken_json_is_refused_with_its_line(tmp_path):
    path = tmp_path / "segments.json"
    path.write_text('{"segment":\n ["EXP_ROM",]}')
    with pytest.raises(FormatError, match=r"segments\.json, line 2"):
        read_test_segments(path)
    with pytest.raises(FormatError, match="cannot be read"):
        read_test_segments(tmp_path / "nowhere.json")


@given(
    st.one_of(
        st.binary(max_size=60),
        st.recursive(st.none() | st.text() | st.floats(), st.lists).map(lambda x: json.dumps(x).encode()),
    )
)
@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_content_is_read_or_refused(tmp_path, content):
    path = tmp_path / "any.json"
    path.write_bytes(content)
    try:
        prefixes = read_test_segments(path)
    except FormatError:
        return
    assert prefixes and all(isinstance(prefix, str) for prefix in prefixes)


def test_prefixes_that_match_nothing_are_refused_with_the_nearest_segments():
    check_test_segments(["EXP_ROM", "EXP_free_face"], SEGMENTS)
    with pytest.raises(CaptureError, match=r"exp_rom.*nearest EXP_ROM07_Facial_Expressions"):
        check_test_segments(["exp_rom"], SEGMENTS)
    with pytest.raises(CaptureError, match=r"my\.json.*E061_Lips_Puffed"):
        check_test_segments(["E61_Lips"], SEGMENTS, where="my.json")
