"""multiface doctor: what this machine offers, what is missing, and the line that gets it.

It has to work where other things do not: nothing but the standard library is imported before it is looked for, and a
package that breaks while being imported is a finding, not a crash. (So no tyro and no rich here.)
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import sys
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from multiface import __version__
from multiface.cli.output import emit_json
from multiface.cli.requirements import BROKEN, Package, look_for_packages

State = Literal["ok", "absent", "problem"]
_MARKS = {"ok": ("ok", "32"), "absent": ("--", "33"), "problem": ("!!", "31")}
_GIGABYTE = 1e9


@dataclass(frozen=True)
class Finding:
    """One line of the report: what was looked at, how it is, details, and the remedy where there is one."""

    group: str
    name: str
    state: State
    detail: str
    remedy: str = ""


@dataclass
class Report:
    """Everything found. ``facts`` is what ``--json`` adds to the findings, by topic."""

    findings: list[Finding] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)

    def add(self, group: str, name: str, state: State, detail: str, remedy: str = "") -> None:
        self.findings.append(Finding(group, name, state, detail, remedy))

    def to_json(self) -> dict[str, Any]:
        """``{"multiface", ..facts.., "findings": [...], "missing": [{"what", "why", "remedy"}]}``."""
        missing = [{"what": f.name, "why": f.detail, "remedy": f.remedy} for f in self.findings if f.remedy]
        return {"multiface": __version__, **self.facts, "findings": [asdict(f) for f in self.findings], "missing": missing}


def main(argv: list[str]) -> int:
    """Run the command and return its exit status."""
    parser = argparse.ArgumentParser(
        prog="multiface doctor",
        description="Show devices, versions and backends, what is missing, and how to get it.",
    )
    parser.add_argument("--json", action="store_true", help="print everything found as one line of JSON on stdout")
    options = parser.parse_args(argv)
    report = examine()
    show(report)
    if options.json:
        emit_json(report.to_json())
    return 0


def examine() -> Report:
    """Look at this machine; never raises for something that is missing or broken."""
    report = Report()
    _system(report)
    packages = look_for_packages()
    _packages(report, packages)
    _devices(report, packages)
    _backends(report, packages)
    _pictures_and_video(report, packages)
    _kernel_cache(report, packages)
    return report


def show(report: Report) -> None:
    """Print a report for people, on stderr."""
    colour = sys.stderr.isatty() and not os.environ.get("NO_COLOR")
    width = max(len(finding.name) for finding in report.findings)
    lines, group = [f"multiface {__version__}"], ""
    for finding in report.findings:
        if finding.group != group:
            group = finding.group
            lines += ["", group]
        text, code = _MARKS[finding.state]
        mark = f"\033[{code}m{text}\033[0m" if colour else text
        lines.append(f"  {mark}  {finding.name:<{width}}  {finding.detail}".rstrip())
    remedies = list(dict.fromkeys(finding.remedy for finding in report.findings if finding.remedy))
    lines += (
        ["", "To get what is missing:", *(f"  {remedy}" for remedy in remedies)] if remedies else ["", "Nothing is missing."]
    )
    sys.stderr.write("\n".join(lines) + "\n")


def _system(report: Report) -> None:
    version = platform.python_version()
    good = sys.version_info >= (3, 10)
    remedy = "" if good else "Install Python 3.10 or later and make a new environment with it"
    report.add("System", "Python", "ok" if good else "problem", f"{version} ({sys.executable})", remedy)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    report.add("System", "processor", "ok", f"{cores} cores usable, {platform.machine()}, {platform.system()}")
    memory = total_memory()
    report.add("System", "memory", "ok", "size unknown" if memory is None else f"{memory / _GIGABYTE:.1f} GB usable")
    free = {name: _free(Path(folder)) for name, folder in (("here", Path.cwd()), ("temporary", tempfile.gettempdir()))}
    for name, space in free.items():
        report.add(
            "System", f"disk, {name}", "ok" if space > 2e9 else "problem", f"{space / _GIGABYTE:.1f} GB free",
            "" if space > 2e9 else "Free some disk space: a capture and its models take a few GB",
        )  # fmt: skip
    report.facts.update(
        python=version, platform=platform.platform(), cpus=cores, memory_bytes=memory,
        disk_free_bytes={"here": free["here"], "temporary": free["temporary"]},
    )  # fmt: skip


def _packages(report: Report, packages: dict[str, Package]) -> None:
    for package in packages.values():
        report.add("Packages", package.name, "ok" if package.usable else "problem", package.detail, package.remedy)
    report.facts["packages"] = {
        package.name: {"version": package.version, "problem": package.problem or None} for package in packages.values()
    }


def _devices(report: Report, packages: dict[str, Package]) -> None:
    torch = packages["torch"].module
    devices: list[dict[str, Any]] = []
    if torch is not None:
        try:
            devices = _accelerators(torch)
        except BROKEN as error:
            report.add("Devices", "GPU", "problem", f"PyTorch cannot look at it: {error}")
    for device in devices:
        memory = "" if device["memory_bytes"] is None else f", {device['memory_bytes'] / _GIGABYTE:.1f} GB"
        report.add("Devices", device["device"], "ok", f"{device['name']}{memory} ({device['platform']})")
    report.add(
        "Devices", "cpu", "ok" if torch is not None else "absent", "always works" if torch is not None else "needs torch"
    )
    if torch is not None and not devices:
        _why_no_gpu(report, torch)
    report.facts["devices"] = devices


def _accelerators(torch: Any) -> list[dict[str, Any]]:
    devices = []
    if torch.cuda.is_available():
        kind = f"ROCm {torch.version.hip}" if getattr(torch.version, "hip", None) else f"CUDA {torch.version.cuda}"
        for index in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(index)
            name, memory = properties.name, int(properties.total_memory)
            devices.append({"device": f"cuda:{index}", "name": name, "memory_bytes": memory, "platform": kind})
    if hasattr(torch.backends, "mps") and torch.backends.mps.is_available():
        devices.append({"device": "mps", "name": "Apple GPU", "memory_bytes": None, "platform": "MPS"})
    return devices


def _why_no_gpu(report: Report, torch: Any) -> None:
    built_for = torch.version.cuda or getattr(torch.version, "hip", None)
    card = Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists() or shutil.which("nvidia-smi") is not None
    if not card:
        report.add("Devices", "GPU", "absent", "none found; everything runs on the CPU")
    elif built_for is None:
        remedy = "Replace the CPU build of PyTorch (on Linux): pip install --force-reinstall --no-cache-dir 'torch>=2.5'"
        report.add("Devices", "GPU", "problem", "there is one, but this PyTorch is a CPU build", remedy)
    else:
        remedy = f"Update the GPU driver to one that supports {built_for}, then run: multiface doctor"
        report.add("Devices", "GPU", "problem", f"there is one, but PyTorch (built for {built_for}) cannot use it", remedy)


def _backends(report: Report, packages: dict[str, Package]) -> None:
    states: dict[str, str | None] = {}
    for name in ("reference", "numba", "triton"):
        why_not = _why_not_backend(name, packages)
        states[name] = why_not
        report.add("Renderer", name, "absent" if why_not else "ok", why_not or "present")
    report.facts["backends"] = {name: {"present": why is None, "why_not": why} for name, why in states.items()}


def _why_not_backend(name: str, packages: dict[str, Package]) -> str | None:
    torch = packages["torch"].module
    if torch is None:
        return "needs torch"
    try:
        from multiface.render.backends import backend_names, find_backend

        if name not in backend_names():
            return "not part of this version"
        if name == "triton" and not torch.cuda.is_available():
            return "needs an NVIDIA or AMD GPU"
        find_backend(name, torch.device("cuda" if name == "triton" else "cpu"))
    except BROKEN as error:
        return f"{type(error).__name__}: {error}".splitlines()[0]
    return None


def _pictures_and_video(report: Report, packages: dict[str, Package]) -> None:
    encoder = None
    av = packages["av"].module
    if av is None:
        report.add("Video", "H.264 encoder", "absent", "needs av")
    else:
        try:
            from multiface.show.video import find_encoder

            encoder = find_encoder(av)
            report.add("Video", "H.264 encoder", "ok", encoder)
        except BROKEN as error:
            report.add("Video", "H.264 encoder", "problem", str(error).splitlines()[0], getattr(error, "remedy", "") or "")
    report.facts["video"] = {"h264_encoder": encoder}


def _kernel_cache(report: Report, packages: dict[str, Package]) -> None:
    numba = packages["numba"].module
    if numba is None:
        report.facts["numba"] = None
        return
    layers = [name for name, pool in (("tbb", "tbbpool"), ("omp", "omppool"), ("workqueue", "workqueue")) if _has_layer(pool)]
    report.add("Numba", "threading layers", "ok" if layers else "absent", ", ".join(layers) or "none")
    folder = _cache_folder(numba)
    remedy = "" if folder else "Name a folder for compiled kernels that you may write to: export NUMBA_CACHE_DIR=<folder>"
    detail = str(folder) if folder else "no folder can be written to: kernels are compiled anew in every run"
    report.add("Numba", "kernel cache", "ok" if folder else "problem", detail, remedy)
    report.facts["numba"] = {"threading_layers": layers, "cache": None if folder is None else str(folder)}


def _has_layer(pool: str) -> bool:
    import importlib

    try:
        importlib.import_module(f"numba.np.ufunc.{pool}")
    except BROKEN:
        return False
    return True


def _cache_folder(numba: Any) -> Path | None:
    """Where Numba keeps what it compiled: the named folder, else beside the source, else the user's cache."""
    named = getattr(numba.config, "CACHE_DIR", "")
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "numba"
    places = [Path(named)] if named else [Path(__file__).parent.parent / "render", home]
    return next((place for place in places if _writable(place)), None)


def _writable(folder: Path) -> bool:
    existing = next((place for place in (folder, *folder.parents) if place.exists()), None)
    return existing is not None and existing.is_dir() and os.access(existing, os.W_OK)


def _free(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def total_memory() -> int | None:
    """Bytes this process may use: what the machine has, or less where a container limits it; None when unknown."""
    sizes = []
    with suppress(AttributeError, ValueError, OSError):  # not a Unix
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            sizes.append(int(Path(name).read_text()))
        except (OSError, ValueError):  # no such limit ("max" is no number)
            continue
    return min(sizes) if sizes else None
