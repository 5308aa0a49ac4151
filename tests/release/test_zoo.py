"""The published weights, from a server on loopback: networks of our own in the published form."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from multiface.cli import run
from multiface.models import build_model, load_model, save_published
from multiface.release.network import IDENTITIES, PUBLIC
from multiface.release.zoo import cached_path, find_model, weights_url, zoo_models
from release_server import Cut, Page, ReleaseServer, Status, WrongLength, serve


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    path = folder / "PretrainedModel" / "6795937--GHS-base_nosl" / "best_model.pth"
    path.parent.mkdir(parents=True)
    save_published(path, build_model("base", tex_size=256, mesh_inp_size=75, nlatent=4, n_cams=3))
    return folder


@pytest.fixture
def mirror(weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with serve(weights) as server:
        monkeypatch.setenv("MULTIFACE_BASE_URL", server.url + IDENTITIES)
        monkeypatch.setenv("MULTIFACE_CACHE", str(tmp_path / "cache"))
        yield server


PATH = "PretrainedModel/6795937--GHS-base_nosl/best_model.pth"
WORDS = ["zoo", "get", "6795937", "--arch", "base"]


def test_all_published_models_are_listed_with_their_errors(capsys: pytest.CaptureFixture) -> None:
    models = zoo_models()
    assert len(models) == 56 and len({model.entity for model in models.values()}) == 11
    assert (models["6795937/warp"].texture_error, models["6795937/warp"].mesh_error) == (12.514287, 0.023636)
    assert models["002421669/bilinear"].texture_error == 20.877214
    assert models["5067077/non"].segment == "EXP_free_face"
    assert run(["zoo", "list", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["models"]) == 56


def test_addresses_on_the_public_server_and_on_mirrors() -> None:
    model = find_model("zoo:6795937/base")
    assert weights_url(PUBLIC + IDENTITIES, model) == f"{PUBLIC}/{PATH}"
    assert weights_url("http://mirror/x/", model) == f"http://mirror/x/{PATH}"
    assert weights_url(PUBLIC + IDENTITIES, find_model("mini")) == f"{PUBLIC}/PretrainedModel/mini.pth"


def test_a_model_loads_by_name_and_is_fetched_once(mirror: ReleaseServer) -> None:
    model = load_model("zoo:6795937/base")
    assert (model.info.arch, model.info.tex_size, model.info.n_cams) == ("base", 256, 3)
    assert run(WORDS) == 0
    assert len(mirror.asked(PATH)) == 1


def test_a_transfer_that_is_cut_goes_on_in_the_next_process(mirror: ReleaseServer, weights: Path, tmp_path: Path) -> None:
    size = (weights / PATH).stat().st_size
    mirror.always[PATH] = Cut(size // 3)
    from multiface.release.errors import TransferError
    from multiface.release.network import Network, base_url
    from multiface.release.zoo import get

    with pytest.raises(TransferError):
        get(find_model("6795937/base"), network=Network(base_url(), retries=0))
    mirror.always.clear()
    assert run(WORDS) == 0
    assert mirror.asked(PATH)[-1].start > 0 and mirror.fetched(PATH) == size
    assert cached_path(find_model("6795937/base")).read_bytes() == (weights / PATH).read_bytes()


@pytest.mark.parametrize("fault", [Page(), Status(404), Status(403)], ids=repr)
def test_what_is_no_checkpoint_is_not_kept(fault: object, mirror: ReleaseServer, capsys: pytest.CaptureFixture) -> None:
    mirror.always[PATH] = fault
    assert run(WORDS) == 2
    assert "best_model.pth" in capsys.readouterr().err
    assert not cached_path(find_model("6795937/base")).exists()


def test_a_file_of_the_cache_that_has_changed_is_not_used(mirror: ReleaseServer, capsys: pytest.CaptureFixture) -> None:
    assert run(WORDS) == 0
    path = cached_path(find_model("6795937/base"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    assert run(WORDS) == 2
    assert "has changed since it was fetched" in capsys.readouterr().err
    assert run([*WORDS, "--again"]) == 0


def test_a_length_that_is_too_short_is_noticed(mirror: ReleaseServer) -> None:
    mirror.always[PATH] = WrongLength(-1000)
    assert run(WORDS) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["get"], "say which model"),
        (["get", "6795937"], "base or res or warp"),
        (["get", "6795937", "--arch", "wrap"], "6795937/warp"),
        (["get", "679593/warp"], "6795937/warp"),
        (["get", "002757580", "--arch", "warp"], "no published model"),
        (["get", "6795937/warp", "--arch", "res"], "two architectures"),
        (["put"], "no such action"),
        (["get", "*"], "no published model"),
        (["list", "nobody"], "no published model is left"),
    ],
)
def test_mistakes(words: list[str], says: str, capsys: pytest.CaptureFixture) -> None:
    assert run(["zoo", *words]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("command", ["test", "visualize"])
def test_commands_take_published_weights_by_name(
    command: str, mirror: ReleaseServer, trainable_capture: Path, tmp_path: Path
) -> None:
    words = [command, str(trainable_capture), "--model_path", "zoo:6795937/base", "--result_path", str(tmp_path / "result")]
    words += ["--passes", "1", "--val_num", "1"] if command == "test" else ["--lambda_screen", "1"]
    assert run(words) == 0
    assert any((tmp_path / "result").iterdir()) and len(mirror.asked(PATH)) == 1
