"""The wheel that users get: built, unpacked and tried away from the sources."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.mark.slow
def test_the_wheel_is_pure_python_complete_and_works(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(REPOSITORY)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        archive.extractall(tmp_path / "site")
    assert any(name.endswith("licenses/LICENSE") for name in names)
    sources = {
        p.relative_to(REPOSITORY / "src").as_posix() for p in (REPOSITORY / "src" / "multiface").rglob("*") if p.is_file()
    }
    missing = {name for name in sources if "__pycache__" not in name} - set(names)
    assert not missing
    script = (
        "import multiface, sys; assert multiface.__file__.startswith(sys.argv[1]), multiface.__file__\n"
        "from multiface.cli import run\n"
        "assert run(['--version']) == 0\n"
        "from multiface.show.page import Page\n"
        "Page('title', 'summary').write(sys.argv[1] + '/page.html')\n"
    )
    tried = [sys.executable, "-c", script, str(tmp_path / "site")]
    done = subprocess.run(
        tried, env={"PYTHONPATH": str(tmp_path / "site")}, capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
