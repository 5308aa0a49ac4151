"""The rooms: who may import whom, and what importing costs. docs/architecture.md tells the reasons."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from multiface.cli import COMMANDS

SOURCE = Path(__file__).resolve().parent.parent / "src" / "multiface"
ROOMS = [
    "core", "geometry", "capture", "release", "render", "prepare", "data", "models", "losses", "train", "evaluate", "show",
    "export", "cli",
]  # fmt: skip
HEAVY = ("torch", "numba", "cv2", "av", "torchmetrics", "tensorboard", "tyro", "PIL", "rich", "numpy")


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


def imported_rooms(path: Path) -> set[str]:
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names = []
        if isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names = [node.module] if node.module != "multiface" else [f"multiface.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        rooms |= {name.split(".")[1] for name in names if name.startswith("multiface.")}
    return rooms


@pytest.mark.parametrize("path", [p for p in sorted(SOURCE.rglob("*.py")) if room_of(p) in ROOMS], ids=str)
def test_a_room_imports_only_from_rooms_above_it(path: Path) -> None:
    room = room_of(path)
    below = {other for other in imported_rooms(path) & set(ROOMS) if ROOMS.index(other) > ROOMS.index(room)}
    assert not below, f"{path} in room {room} imports from {below}"


def test_every_package_is_a_known_room() -> None:
    packages = {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert packages <= set(ROOMS)


@pytest.mark.parametrize(
    ("room", "never"), [("models", "render"), ("render", "models"), ("models", "capture"), ("capture", "render")]
)
def test_networks_know_nothing_of_pictures_nor_the_renderer_of_networks(room: str, never: str) -> None:
    for path in (SOURCE / room).rglob("*.py"):
        assert never not in imported_rooms(path), path


def loaded_by(code: str) -> set[str]:
    """Top-level modules that running ``code`` in a new interpreter loads."""
    script = f"import sys\n{code}\nprint(' '.join({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import multiface",
        "from multiface.cli import run; run(['--help'])",
        "from multiface.cli import run; run(['no-such-command'])",
        "from multiface.cli import run; run(['--version'])",
    ],
)
def test_importing_and_helping_load_nothing_heavy(code: str) -> None:
    assert not loaded_by(code) & set(HEAVY)


def test_reading_captures_needs_no_torch() -> None:
    assert "torch" not in loaded_by("import multiface.capture")


def test_planning_a_download_loads_nothing_heavy() -> None:
    assert not loaded_by("import multiface.release") & {"torch", "numba", "cv2", "httpx"}


@pytest.mark.parametrize("command", list(COMMANDS))
def test_the_help_of_a_command_needs_no_torch(command: str) -> None:
    code = f"from multiface.cli import run\nassert run([{command!r}, '--help']) == 0"
    assert not loaded_by(code) & {"torch", "numba", "cv2", "av"}


def test_files_stay_short() -> None:
    long = {str(path): n for path in SOURCE.rglob("*.py") if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long
