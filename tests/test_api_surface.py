"""The public names. A change here is a change for every user: make it on purpose."""

from __future__ import annotations

import importlib
import inspect

import pytest

import multiface

PUBLIC = {
    "multiface": {"Capture", "MultifaceError", "__version__", "build_model", "load_model", "render_mesh"},
    "multiface.geometry": {
        "Camera", "Topology", "flip_rows", "is_rotation", "project_points", "projection_matrix", "resize_intrinsics",
        "rotation_error", "texel_centres", "to_head", "to_world", "view_direction",
    },
    "multiface.models": {
        "ARCHITECTURES", "TEXTURE_SIZES", "Decoded", "FaceModel", "FastDecoder", "ModelInfo", "Output", "build_model",
        "check_matches", "fast_decoder", "kl_divergence", "load_model", "load_state", "save_model", "save_published",
    },
}  # fmt: skip


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(module: str) -> None:
    loaded = importlib.import_module(module)
    assert set(loaded.__all__) == PUBLIC[module]
    assert all(hasattr(loaded, name) for name in loaded.__all__)


def test_fixed_names_and_their_arguments() -> None:
    from multiface.capture import Capture, FrameKey, Topology
    from multiface.models import build_model, load_model
    from multiface.render import render_mesh

    def arguments(function) -> list[str]:
        return list(inspect.signature(function).parameters)

    assert arguments(render_mesh)[:7] == [
        "vertices", "projection", "topology", "texture", "size", "interpolation", "backend",
    ]  # fmt: skip
    assert arguments(build_model) == ["arch", "tex_size", "mesh_inp_size", "nlatent", "n_cams"]
    assert arguments(load_model)[0] == "path"
    assert FrameKey._fields == ("segment", "frame")
    assert set(Topology.__dataclass_fields__) == {"faces", "uvs", "uv_faces"}
    for name in ("cameras", "frames", "topology", "vertices", "head_pose", "texture", "photo", "projection"):
        assert hasattr(Capture, name)


def test_unknown_names_are_attribute_errors() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = multiface.no_such_name
