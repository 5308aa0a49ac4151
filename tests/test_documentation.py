"""Every command and every piece of code that README and docs show is run here, with smaller numbers."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
PAGES = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").glob("*.md"))]
SMALLER = {
    "--max_iter": ["2"], "--segments": ["2"], "--frames-per-segment": ["2"], "--frames_per_segment": ["2"],
    "--n-cameras": ["3"], "--n_cameras": ["3"], "--tex_size": ["256"], "--seconds": ["0.2"],
}  # fmt: skip
QUICK = {
    "synth": ["--n_cameras", "3", "--image_size", "64", "48", "--tex_size", "256"],
    "train": ["--nlatent", "4", "--train_batch_size", "2", "--val_num", "0"],
    "test": ["--passes", "1", "--val_num", "1"],
    "visualize": ["--seconds", "0.2"],
}


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def shell_lines(page: Path) -> list[str]:
    joined = [block.replace("\\\n", " ") for block in blocks(page, "sh")]
    return [line.strip() for block in joined for line in block.splitlines() if line.strip() and not line.startswith("#")]


def inline_commands(page: Path) -> list[str]:
    return re.findall(r"`(multiface [a-z]+ [^`]*--[^`]*)`", page.read_text(encoding="utf-8"))


def smaller(words: list[str]) -> list[str]:
    """The command with small numbers in place of those shown, and quick settings where none are shown."""
    out: list[str] = []
    position = 0
    while position < len(words):
        word = words[position]
        out.append(word)
        if word in SMALLER:
            out += SMALLER[word]
            position += len(SMALLER[word])
        position += 1
    return out + _quick(out)


def _quick(words: list[str]) -> list[str]:
    added, shown = [], {word.replace("-", "_") for word in words}
    pairs = QUICK.get(words[0], []) if "--resume" not in words else []
    for name, value in _grouped(pairs):
        if name.replace("-", "_") not in shown:
            added += [name, *value]
    return added


def _grouped(words: list[str]) -> list[tuple[str, list[str]]]:
    starts = [i for i, word in enumerate(words) if word.startswith("--")]
    return [(words[i], words[i + 1 : j]) for i, j in zip(starts, [*starts[1:], len(words)])]


def multiface(words: list[str], folder: Path) -> None:
    command = [sys.executable, "-m", "multiface", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def after_the_readme(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the README's commands were run in order."""
    folder = tmp_path_factory.mktemp("readme")
    page = REPOSITORY / "README.md"
    for line in [*shell_lines(page), *inline_commands(page)]:
        words = shlex.split(line)
        if words[0] == "multiface":
            multiface(smaller(words[1:]), folder)
    return folder


@pytest.mark.slow
def test_the_commands_of_the_readme_work(after_the_readme: Path) -> None:
    assert (after_the_readme / "runs" / "first" / "model.safetensors").is_file()
    assert (after_the_readme / "unwrapped" / "tex_mean.png").is_file()


@pytest.mark.slow
def test_the_python_of_the_readme_works(after_the_readme: Path) -> None:
    for code in blocks(REPOSITORY / "README.md", "python"):
        done = subprocess.run([sys.executable, "-c", code], cwd=after_the_readme, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES[1:], ids=lambda page: page.name)
def test_the_commands_of_the_docs_work(page: Path, after_the_readme: Path, tmp_path: Path) -> None:
    lines = [shlex.split(line) for line in shell_lines(page)]
    if any(words[0] == "multiface" for words in lines):
        shutil.copytree(after_the_readme, tmp_path, dirs_exist_ok=True, symlinks=True)
    for words in lines:
        if words[0] == "multiface":
            multiface(smaller(words[1:]), tmp_path)
        elif words[0] == "python":
            # Benchmarks take minutes: that they start and know their options has to do.
            command = [sys.executable, str(REPOSITORY / words[1]), *words[2:], "--help"]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{shlex.join(words)}\n{done.stderr}"
        else:
            assert words[0] == "make" and has_target(words[1]), f"{page.name} shows {shlex.join(words)}"


def has_target(name: str) -> bool:
    return re.search(rf"^{name}:", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE) is not None


def test_make_targets_of_the_readme_exist() -> None:
    shown = [shlex.split(line) for line in shell_lines(REPOSITORY / "README.md")]
    targets = [words[1] for words in shown if words[0] == "make"]
    assert targets == ["demo", "test"]
    assert all(map(has_target, targets))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("make") is None, reason="there is no make here")
def test_make_demo_shows_everything(tmp_path: Path) -> None:
    """The demo through make, in the environment of this test, with small numbers."""
    small = "--segments 3 --frames_per_segment 3 --n_cameras 3 --image_size 96 64 --max_iter 8"
    (tmp_path / "bin").symlink_to(Path(sys.executable).parent)
    for stamp in (".installed", ".installed-dev"):
        (tmp_path / stamp).touch()
    command = ["make", "demo", f"VENV={tmp_path}", f"OUT={tmp_path / 'demo'}", f"DEMO={small}"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False, env={**os.environ})
    assert done.returncode == 0, done.stderr[-3000:]
    page = (tmp_path / "demo" / "report.html").read_text(encoding="utf-8")
    assert "<video" in page and "frozen" in page and "adapted" in page
    assert not re.search(r"""(src|href)=["']?https?:""", page)
    assert (tmp_path / "demo" / "test_segment.mp4").stat().st_size > 1000


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert target.startswith("http") or (page.parent / target).exists(), f"{page.name} links to {target}"
