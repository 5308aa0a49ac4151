"""multiface doctor: it tells what is there, and it survives what is not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from multiface.cli import doctor, requirements, run


def run_with_broken(broken: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command where importing each of ``broken`` raises the named error."""
    program = f"""
import sys
broken = {broken!r}
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name in broken:
            if broken[name] == "ModuleNotFoundError":
                raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
            raise {{"OSError": OSError, "AttributeError": AttributeError}}[broken[name]](f"{{name}} is damaged")
sys.meta_path.insert(0, Finder())
from multiface.cli import run
sys.exit(run(["doctor", *{list(arguments)!r}]))
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)


def test_the_report_has_what_an_issue_needs(capsys):
    assert run(["doctor", "--json"]) == 0
    out, err = capsys.readouterr()
    report = json.loads(out.splitlines()[-1])
    assert report["packages"]["torch"]["version"] and report["packages"]["torch"]["problem"] is None
    assert report["cpus"] >= 1 and report["memory_bytes"] > 1e8 and report["disk_free_bytes"]["here"] >= 0
    assert report["backends"]["reference"]["present"] and report["backends"]["numba"]["present"]
    assert set(report) >= {"multiface", "python", "platform", "devices", "video", "numba", "findings", "missing"}
    for word in ("Python", "torch", "numba", "reference", "H.264", "cpu"):
        assert word in err


def test_missing_and_damaged_packages_are_findings_not_crashes():
    broken = {"torch": "ModuleNotFoundError", "av": "OSError", "rich": "ModuleNotFoundError", "tyro": "ModuleNotFoundError"}
    broken |= {"numba": "AttributeError", "cv2": "OSError"}
    done = run_with_broken(broken, "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    problems = {name: package["problem"] for name, package in report["packages"].items() if package["problem"]}
    assert set(problems) == {"torch", "av", "rich", "tyro", "numba", "opencv-python-headless"}
    assert problems["torch"] == "missing" and "av is damaged" in problems["av"]
    remedies = {item["what"]: item["remedy"] for item in report["missing"]}
    assert "'torch>=" in remedies["torch"] and remedies["torch"].startswith("pip install")
    assert "'av>=" in remedies["av"] and "pip install" in done.stderr
    assert not any(backend["present"] for backend in report["backends"].values())
    assert report["devices"] == [] and report["video"] == {"h264_encoder": None}


def test_help_imports_nothing_heavy():
    program = (
        "import sys\nfrom multiface.cli import run\n"
        "assert run(['doctor', '--help']) == 0\n"
        "heavy = {'torch', 'numba', 'cv2', 'av', 'tyro', 'rich', 'numpy'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "--json" in done.stdout


@pytest.mark.parametrize(
    ("version", "requirement", "older"),
    [("2.13.0+cpu", "torch>=2.5", False), ("2.4.1", "torch>=2.5", True), ("12.3", "av>=12.3", False), ("1", "x", False)],
)
def test_versions_are_compared_as_numbers(monkeypatch, version, requirement, older):
    monkeypatch.setattr(requirements, "_version", lambda name: version)
    package = requirements._look("jinja2", requirement)
    assert ("too old" in package.problem) == older
    assert bool(package.remedy) == older


class FakeTorch:
    """As much of PyTorch as is asked about devices."""

    class version:
        cuda = None
        hip = None

    class cuda:
        is_available = staticmethod(lambda: False)

    class backends:
        pass


def test_a_cpu_build_beside_a_gpu_is_named_with_its_remedy(monkeypatch):
    monkeypatch.setattr(doctor.shutil, "which", lambda name: f"/usr/bin/{name}")
    report = doctor.Report()
    doctor._why_no_gpu(report, FakeTorch)
    (finding,) = report.findings
    assert finding.state == "problem" and "CPU build" in finding.detail and "pip install" in finding.remedy


def test_gpus_are_listed_with_name_memory_and_platform():
    class Properties:
        name, total_memory = "Some GPU", 80_000_000_000

    class Torch(FakeTorch):
        class version:
            cuda, hip = "12.8", None

        class cuda:
            is_available = staticmethod(lambda: True)
            device_count = staticmethod(lambda: 1)
            get_device_properties = staticmethod(lambda index: Properties)

    expected = {"device": "cuda:0", "name": "Some GPU", "memory_bytes": 80_000_000_000, "platform": "CUDA 12.8"}
    assert doctor._accelerators(Torch) == [expected]


def test_a_cache_that_cannot_be_written_is_a_problem_with_a_remedy(monkeypatch):
    monkeypatch.setattr(doctor, "_writable", lambda folder: False)
    report = doctor.Report()
    doctor._kernel_cache(report, requirements.look_for_packages())
    (finding,) = [finding for finding in report.findings if finding.name == "kernel cache"]
    assert finding.state == "problem" and "NUMBA_CACHE_DIR" in finding.remedy
