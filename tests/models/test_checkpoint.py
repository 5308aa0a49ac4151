"""Saving and loading our own files and published ones."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from multiface.core.errors import ArgumentError, CheckpointError, StorageError
from multiface.geometry import Topology
from multiface.models import (
    ModelInfo,
    build_model,
    check_matches,
    load_model,
    load_state,
    save_model,
    save_published,
)
from small_models import ARCHS, SMALL, perturb, random_inputs


def full_info() -> ModelInfo:
    topology = Topology(np.array([[0, 1, 99]]), np.array([[0, 0], [1, 0], [0, 0.5]]), np.array([[0, 2, 1]]))
    return ModelInfo(
        "base",
        **SMALL,
        camera_names=("400002", "400004", "dür", "x y", "400070"),
        statistics={"tex_mean": torch.arange(12, dtype=torch.uint8).reshape(2, 2, 3), "vert_std": torch.tensor(1.5)},
        topology=topology,
        licence="CC BY-NC 4.0",
        training={"iterations": 7, "losses": {"tex": 0.5}, "segments": ["EXP_ROM"]},
    )


def assert_same_model(found, expected):
    assert found.arch == expected.arch and found.info.sizes() == expected.info.sizes()
    ours, theirs = found.state_dict(), expected.state_dict()
    assert list(ours) == list(theirs)
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    inputs = random_inputs(1)
    assert torch.equal(found(*inputs, torch.tensor([2])).texture, expected(*inputs, torch.tensor([2])).texture)


def test_own_file_round_trip(model, tmp_path):
    perturb(model)
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    loaded = load_model(path)
    assert_same_model(loaded, model)
    assert not loaded.training
    assert [p.requires_grad for p in loaded.parameters()] == [p.requires_grad for p in model.parameters()]


def test_own_file_carries_everything(base, tmp_path):
    path, info = tmp_path / "model.safetensors", full_info()
    save_model(path, base, info)
    found = load_model(path).info
    assert (found.arch, found.sizes()) == (info.arch, info.sizes())
    assert found.camera_names == info.camera_names
    assert found.licence == info.licence and found.training == info.training
    assert list(found.statistics) == ["tex_mean", "vert_std"] and found.statistics["tex_mean"].dtype == torch.uint8
    assert all(torch.equal(found.statistics[key], info.statistics[key]) for key in info.statistics)
    for name in ("faces", "uvs", "uv_faces"):
        np.testing.assert_array_equal(getattr(found.topology, name), getattr(info.topology, name))


def test_the_memory_format_leaves_no_trace_in_the_file(base, tmp_path):
    save_model(tmp_path / "a.safetensors", base)
    save_model(tmp_path / "b.safetensors", base.to(memory_format=torch.channels_last))
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()
    save_published(tmp_path / "b.pth", base)
    assert all(value.is_contiguous() for value in torch.load(tmp_path / "b.pth", weights_only=True).values())


def test_a_loaded_model_saves_what_it_carries(base, tmp_path):
    first, second = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    save_model(first, base, full_info())
    save_model(second, load_model(first))
    assert first.read_bytes() == second.read_bytes()


@pytest.mark.parametrize("prefix", ["", "module.", "module.module.", "_orig_mod."])
def test_published_round_trip(model, tmp_path, prefix):
    perturb(model)
    path = tmp_path / "best_model.pth"
    torch.save({prefix + key: value for key, value in model.state_dict().items()}, path)
    assert_same_model(load_model(path), model)
    assert load_model(path).info.camera_names is None


def test_published_state_dict_of_the_wrapper_itself(base, tmp_path):
    path = tmp_path / "model.pth"
    torch.save(torch.nn.DataParallel(base).state_dict(), path)  # an OrderedDict with metadata
    assert_same_model(load_model(path), base)


def test_old_uncompressed_pickles_load_too(base, tmp_path):
    path = tmp_path / "old.pth"
    torch.save(base.state_dict(), path, _use_new_zipfile_serialization=False)
    assert_same_model(load_model(path), base)


def test_published_weights_converted_to_safetensors(base, tmp_path):
    path = tmp_path / "converted.safetensors"
    save_file({"module." + key: value for key, value in base.state_dict().items()}, path)
    assert_same_model(load_model(path), base)


def test_save_published_is_what_the_published_tools_read(model, tmp_path):
    path = tmp_path / "model.pth"
    save_published(path, model)
    content = torch.load(path, weights_only=True)
    assert list(content) == ["module." + key for key in model.state_dict()]
    assert type(content) is dict and all(value.dtype == torch.float32 for value in content.values())
    assert_same_model(load_model(path), model)


@pytest.mark.parametrize("tex_size", [256, 512, 1024])
@pytest.mark.parametrize("arch", ARCHS)
def test_sizes_are_inferred(arch, tex_size, tmp_path):
    model = build_model(arch, tex_size=tex_size, mesh_inp_size=30, nlatent=3, n_cams=1)
    save_published(tmp_path / "m.pth", model)
    loaded = load_model(tmp_path / "m.pth")
    assert (loaded.arch, loaded.tex_size, loaded.mesh_inp_size, loaded.nlatent, loaded.n_cams) == (arch, tex_size, 30, 3, 1)


def test_stored_grid_is_used(tmp_path):
    model = build_model("warp", **SMALL)
    model.warp.normal_grid += 0.25
    save_published(tmp_path / "m.pth", model)
    assert torch.equal(load_model(tmp_path / "m.pth").warp.normal_grid, model.warp.normal_grid)


def test_load_state_gives_keys_without_prefix(base, tmp_path):
    save_published(tmp_path / "m.pth", base)
    save_model(tmp_path / "m.safetensors", base)
    for name in ("m.pth", "m.safetensors"):
        state = load_state(tmp_path / name)
        build_model("base", **SMALL).load_state_dict(state)
        assert set(state) == set(base.state_dict())


def test_half_precision_weights_are_widened(base, tmp_path):
    torch.save({key: value.half() for key, value in base.state_dict().items()}, tmp_path / "m.pth")
    assert {value.dtype for value in load_model(tmp_path / "m.pth").state_dict().values()} == {torch.float32}


def test_loaded_tensors_do_not_share_memory(base, tmp_path):
    state = base.state_dict()
    state["dec.texture_decoder.upsample.1.conv1.deconv.bias"] = state["dec.texture_decoder.upsample.1.conv1.deconv.g"]
    torch.save(state, tmp_path / "m.pth")
    unit = load_model(tmp_path / "m.pth").dec.texture_decoder.upsample[1].conv1.deconv
    assert unit.bias.data_ptr() != unit.g.data_ptr()


def test_matching_options_pass_and_others_are_listed(base):
    check_matches(base.info, arch="base", tex_size=256, nlatent=None)
    with pytest.raises(CheckpointError, match=r"run/model.pth.*arch base, not warp; tex_size 256, not 1024"):
        check_matches(base.info, where="run/model.pth", arch="warp", tex_size=1024, nlatent=16)
    with pytest.raises(ArgumentError, match="latent"):
        check_matches(base.info, latent=3)


def test_saving_the_info_of_another_model_is_refused(base, tmp_path):
    other = build_model("res", **SMALL).info
    with pytest.raises(ArgumentError, match="arch base, not res"):
        save_model(tmp_path / "m.safetensors", base, other)
    assert not list(tmp_path.iterdir())


def test_diverged_weights_are_neither_saved_nor_loaded(base, tmp_path):
    path = tmp_path / "m.safetensors"
    save_model(path, base)
    before = path.read_bytes()
    with torch.no_grad():
        base.dec.z_fc.weight[3, 2] = float("nan")
    with pytest.raises(CheckpointError, match=r"dec.z_fc.weight holds NaN or infinite values \(found 1 of 4096"):
        save_model(path, base)
    assert path.read_bytes() == before
    save_published(tmp_path / "m.pth", base)
    with pytest.raises(CheckpointError, match=r"m\.pth: dec.z_fc.weight holds NaN"):
        load_model(tmp_path / "m.pth")


def test_training_notes_that_are_no_json_are_refused(base, tmp_path):
    info = ModelInfo("base", **SMALL, training={"optimizer": object()})
    with pytest.raises(ArgumentError, match="training notes"):
        save_model(tmp_path / "m.safetensors", base, info)
    assert not list(tmp_path.iterdir())


def test_an_unwritable_place_is_named(base, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file"):
        save_model(tmp_path / "file" / "m.safetensors", base)


def test_info_checks_itself():
    with pytest.raises(ArgumentError, match="camera names"):
        ModelInfo("base", **SMALL, camera_names=("a", "b"))
    faces = np.array([[0, 1, 100]])
    with pytest.raises(ArgumentError, match=r"topology does not fit the mesh \(expected vertex indices below 100, found 100"):
        ModelInfo("base", **SMALL, topology=Topology(faces, np.zeros((3, 2)), np.array([[0, 1, 2]])))


# --- files that cannot be used ---------------------------------------------------------------------------------------


def refused(path, message):
    with pytest.raises(CheckpointError, match=message) as caught:
        load_model(path)
    assert path.name in str(caught.value)


class Evil:
    """A pickle that makes a file when it is executed."""

    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.system, (f"touch {self.target}",)


@pytest.mark.parametrize("container", ["zip", "legacy", "plain"])
def test_code_in_a_pickle_is_never_run(base, tmp_path, container):
    import pickle

    target, path = tmp_path / "executed", tmp_path / "evil.pth"
    content = {**base.state_dict(), "enc.fc.bias": Evil(target)}
    if container == "plain":
        path.write_bytes(pickle.dumps({"enc.fc.bias": Evil(target)}))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=container == "zip")
    refused(path, "cannot be read as weights.*nothing in it was run")
    assert not target.exists()


def test_files_that_are_no_checkpoints(tmp_path):
    cases = {
        "missing.pth": (None, "no such checkpoint"),
        "empty.pth": (b"", "is empty"),
        "photo.png": (b"\x89PNG\r\n\x1a\n" + bytes(100), "is not a checkpoint.*begins with"),
        "text.txt": (b"hello", "is not a checkpoint"),
        "archive.zip": (b"PK\x03\x04" + bytes(200), "is damaged"),
        "long.safetensors": ((1 << 60).to_bytes(8, "little") + b"{}", "declares too long a header"),
        "short.safetensors": ((5000).to_bytes(8, "little") + b'{"a":', "is truncated"),
        "broken.safetensors": ((12).to_bytes(8, "little") + b'{"a": [1, 2]', "truncated or damaged"),
    }
    for name, (content, message) in cases.items():
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        refused(path, message)
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("keep", [0.3, 0.9, 0.999])
def test_truncated_files(base, tmp_path, keep):
    save_published(tmp_path / "whole.pth", base)
    save_model(tmp_path / "whole.safetensors", base)
    for suffix, message in ((".pth", "is damaged"), (".safetensors", "truncated")):
        data = (tmp_path / f"whole{suffix}").read_bytes()
        path = tmp_path / f"cut{suffix}"
        path.write_bytes(data[: int(keep * len(data))])
        refused(path, message)


def test_pickles_of_other_things(base, tmp_path):
    cases = [
        (base.state_dict()["enc.fc.bias"], "expected a mapping of names to tensors, found a Tensor"),
        ({}, "found an empty one"),
        ({"epoch": 3, "state_dict": dict(base.state_dict())}, "'epoch' is not a plain tensor.*found int"),
        ({3: torch.zeros(2)}, "key of type int"),
        ({"enc.fc.bias": torch.zeros(2)}, "is not a checkpoint of these networks"),
        ({"conv1.weight": torch.zeros(2), "conv\x1b[2J": torch.zeros(1)}, r"found 2 others, conv1.weight, conv\\x1b"),
    ]
    for content, message in cases:
        torch.save(content, tmp_path / "m.pth")
        refused(tmp_path / "m.pth", message)


def edited(model, edit):
    state = dict(model.state_dict())
    edit(state)
    return state


def test_published_state_with_wrong_tensors(base, tmp_path):
    cases = [
        (lambda s: s.pop("enc.fc.bias"), r"lacks 1 tensors \(enc.fc.bias\).*expected the tensors of arch base, tex_size 256"),
        (lambda s: s.update({"dec.more": torch.zeros(1)}), r"1 unknown tensors \(dec.more\)"),
        (lambda s: s.update({"enc.fc.bias": torch.zeros(7)}), r"enc.fc.bias: \(7,\), not \(32,\)"),
        (lambda s: s.update({"enc.fc.bias": torch.zeros(32, dtype=torch.int64)}), "wrong type.*found torch.int64"),
        (lambda s: s.update({"enc.fc.bias": torch.zeros(32).to_sparse()}), "sparse"),
        (
            lambda s: s.update({"cc.weight": torch.zeros(3)}),
            r"expected a tensor cc.weight with 4 dimensions, found shape \(3,\)",
        ),
        (lambda s: s.update({"dec.mesh_fc.weight": torch.zeros(301, 256)}), "impossible size.*multiple of 3"),
        (lambda s: s.update({"enc.fc.bias": torch.zeros(1).expand(10**9)}), "declares more data than it holds"),
        (lambda s: s.update({"enc.fc.bias": torch.zeros(32, device="meta")}), "on meta"),
    ]
    for edit, message in cases:
        torch.save(edited(base, edit), tmp_path / "m.pth")
        refused(tmp_path / "m.pth", message)


def test_first_generation_warp_weights_are_explained(tmp_path):
    state = dict(build_model("warp", **SMALL).state_dict())
    state["warp.upsample.5.weight"] = torch.zeros(4, 16, 3, 3)
    torch.save(state, tmp_path / "6795937_model.pth")
    refused(tmp_path / "6795937_model.pth", "first public version.*newer best_model.pth")


def rewrite(path, tensors=None, **changes):
    """Change the metadata or tensors of one of our own files."""
    from safetensors import safe_open

    with safe_open(str(path), framework="pt") as file:
        metadata = json.loads(file.metadata()["multiface"])
    content = load_file(path)
    content.update(tensors or {})
    save_file({k: v for k, v in content.items() if v is not None}, path, {"multiface": json.dumps({**metadata, **changes})})


def test_own_files_whose_parts_do_not_fit(base, tmp_path):
    cases = [
        ({"version": 2}, "written by a newer multiface.*pip install -U"),
        ({"format": "other"}, "is not a checkpoint of multiface"),
        ({"version": True}, "is not a checkpoint of multiface"),
        ({"arch": "warp"}, "lacks"),
        ({"arch": "best"}, "describes an impossible model.*base, res, warp"),
        ({"tex_size": 512}, "another shape"),
        ({"tex_size": 10**9}, "describes an impossible model"),
        ({"nlatent": "16"}, "nlatent to be int"),
        ({"camera_names": [1, 2]}, "camera_names to be texts"),
        ({"camera_names": ["a"]}, "camera names do not fit"),
        ({"training": 3}, "training to be dict"),
        ({"tensors": {"model.enc.fc.bias": torch.zeros(3)}}, r"enc.fc.bias: \(3,\), not \(32,\)"),
        ({"tensors": {"model.enc.fc.bias": None}}, r"lacks 1 tensors \(enc.fc.bias\)"),
        ({"tensors": {"model.extra": torch.zeros(3)}}, "unknown tensors"),
        ({"tensors": {"extra": torch.zeros(3)}}, "unknown tensor 'extra'"),
        ({"tensors": {"model.enc.fc.bias": torch.zeros(32, dtype=torch.int32)}}, "wrong type"),
        ({"tensors": {"model.enc.fc.bias": torch.full((32,), float("inf"))}}, "enc.fc.bias holds NaN or infinite"),
        ({"tensors": {"topology.uvs": None}}, "incomplete topology"),
        ({"tensors": {"topology.faces": torch.tensor([[0, 1, 500]], dtype=torch.int32)}}, "does not fit the mesh"),
        ({"tensors": {"topology.uv_faces": torch.tensor([[0, 1, 9]], dtype=torch.int32)}}, "broken topology"),
    ]
    for changes, message in cases:
        path = tmp_path / "m.safetensors"
        save_model(path, base, full_info())
        rewrite(path, **changes)
        refused(path, message)


def test_metadata_that_is_no_json(base, tmp_path):
    for text in ("{", "[]", "[" * 100_000):
        save_file({"a": torch.zeros(1)}, tmp_path / "m.safetensors", {"multiface": text})
        refused(tmp_path / "m.safetensors", "unreadable metadata")


def test_archives_that_unpack_to_more_than_they_hold(tmp_path):
    import zipfile

    with zipfile.ZipFile(tmp_path / "bomb.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10**7))
    refused(tmp_path / "bomb.pth", "unpacks to more than it holds")
