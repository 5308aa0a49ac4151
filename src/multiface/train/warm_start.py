"""Starting a training from the weights of another model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from multiface.core.errors import CheckpointError
from multiface.models import FaceModel, check_matches, load_model


def load_weights(model: FaceModel, path: Path, camera_names: Sequence[str]) -> None:
    """Put the weights of the checkpoint at ``path`` into ``model``.

    The colour correction is taken over by camera name; cameras that the checkpoint does not know start neutral. A published
    checkpoint has no names: its correction is taken as it is when it has as many cameras, and refused otherwise.

    Args:
        model: Freshly built.
        path: Checkpoint, ours or published.
        camera_names: Names of the model's colour-correction rows, the anchor first.

    Raises:
        CheckpointError: another architecture, other sizes, or a correction that cannot be matched.
    """
    source = load_model(path)
    info = model.info
    check_matches(
        source.info,
        where=path,
        arch=info.arch,
        tex_size=info.tex_size,
        mesh_inp_size=info.mesh_inp_size,
        nlatent=info.nlatent,
    )
    state = source.state_dict()
    if source.info.camera_names is None:
        if source.info.n_cams != info.n_cams:
            raise CheckpointError(
                "the checkpoint's colour correction has no camera names and another number of cameras",
                where=path,
                expected=info.n_cams,
                found=source.info.n_cams,
                remedy="Train on the same cameras in the same KRT order (--krt_dir, --camera_config)",
            )
    else:
        state = {**state, **_matched_corrections(model, source, source.info.camera_names, camera_names)}
    model.load_state_dict(state)


def _matched_corrections(model: FaceModel, source: FaceModel, source_names: Sequence[str], names: Sequence[str]) -> dict:
    """The model's ``cc`` tensors with the rows of known cameras, relative to the new anchor's correction left as they are."""
    row_of = {name: row for row, name in enumerate(source_names)}
    own, other = model.state_dict(), source.state_dict()
    matched = {key: own[key].clone() for key in own if key.startswith("cc.")}
    for row, name in enumerate(names):
        if row == 0 or row_of.get(name, 0) == 0:  # the anchor of either side is the identity
            continue
        for key in ("cc.weight", "cc.bias"):
            matched[key][row - 1] = other[key][row_of[name] - 1]
    return matched
