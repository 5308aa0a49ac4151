"""Colour-correction rows: by name in our models, by KRT position in published ones."""

from __future__ import annotations

import pytest

from multiface.core.errors import CheckpointError
from multiface.train.cameras import camera_table, require_rows, table_names

KRT = ["a", "b", "c", "d"]


def test_rows_are_the_used_cameras_in_krt_order_and_the_first_is_the_anchor() -> None:
    assert table_names(KRT, ["d", "b", "b"]) == ("b", "d")


def test_our_models_match_by_name_whatever_the_order_and_strangers_get_the_anchor() -> None:
    table, unknown = camera_table(["d", "x", "b"], ("b", "d"), 2)
    assert table.tolist() == [1, 0, 0]
    assert unknown == ("x",)


def test_published_models_go_by_krt_position() -> None:
    table, unknown = camera_table(KRT, None, 3)
    assert table.tolist() == [0, 1, 2, -1]
    assert unknown == ()
    require_rows(table, KRT, ["a", "c"], 3)
    with pytest.raises(CheckpointError, match=r"does not reach these cameras: d"):
        require_rows(table, KRT, ["a", "d"], 3)
