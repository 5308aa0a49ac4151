"""Started plainly or by PyTorch's launchers, it is the same command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from multiface.cli import run

LAUNCHERS = {
    "torchrun": ["torch.distributed.run", "--nproc_per_node=1"],
    "launch": ["torch.distributed.launch", "--nproc_per_node=1"],
}


@pytest.mark.slow
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_one_process_under_a_launcher(launcher: str, trainable_capture: Path, tmp_path: Path) -> None:
    words = ["train", str(trainable_capture), "--result_path", str(tmp_path / "run"), "--arch", "non"]
    command = [sys.executable, "-m", *LAUNCHERS[launcher], "--master_port=0", "-m", "multiface", *words]
    done = subprocess.run([*command, "--nlatent", "4", "--max_iter", "1"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "run" / "model.safetensors").is_file()


def test_several_processes_that_test_are_refused_by_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    said = []
    for rank in ("0", "1"):
        monkeypatch.setenv("RANK", rank)
        monkeypatch.setenv("LOCAL_RANK", rank)
        assert run(["test", "capture", "--model_path", "model.safetensors"]) == 2
        said.append(capsys.readouterr().err)
    assert "testing runs as one process" in said[0] and not said[1]
