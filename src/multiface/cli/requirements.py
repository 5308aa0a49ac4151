"""The packages that multiface wants, whether they are here and work, and the pip line that gets them."""

from __future__ import annotations

import importlib
import importlib.util
import re
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType

from multiface.core.errors import MultifaceError

BROKEN = (ImportError, OSError, AttributeError, RuntimeError, ValueError, TypeError, KeyError, MultifaceError)
"""What importing or asking a damaged or mismatched package raises in practice."""

_MODULES = {"opencv-python-headless": "cv2", "pillow": "PIL"}
_IMPORTED = ("numpy", "torch", "numba", "opencv-python-headless", "pillow", "av", "safetensors")
"""Packages that are really imported, because their binary parts break; the others are only looked up."""

_PURPOSE = {
    "numpy": "arrays",
    "torch": "networks",
    "numba": "rendering and unwrapping on the CPU",
    "opencv-python-headless": "reading and resizing pictures",
    "pillow": "text in pictures, pictures in pages",
    "tyro": "command line",
    "rich": "progress bars",
    "safetensors": "model files",
    "torchmetrics": "structural similarity",
    "tensorboard": "training logs",
    "jinja2": "HTML pages",
    "av": "videos",
    "httpx": "downloading",
}


@dataclass(frozen=True)
class Package:
    """One package: ``module`` when it was imported, ``problem`` when it is missing, too old or breaks."""

    name: str
    requirement: str
    version: str | None
    problem: str
    module: ModuleType | None

    @property
    def usable(self) -> bool:
        return not self.problem

    @property
    def detail(self) -> str:
        purpose = _PURPOSE.get(self.name, "")
        return " ".join(part for part in (self.version, self.problem, f"({purpose})" if purpose else "") if part)

    @property
    def remedy(self) -> str:
        """The pip line, or nothing when there is nothing to do."""
        if self.usable:
            return ""
        force = "--force-reinstall " if self.version else ""
        return f"pip install {force}'{self.requirement}'"


def look_for_packages() -> dict[str, Package]:
    """Every requirement of multiface by package name, in the order of its metadata."""
    return {name: _look(name, requirement) for name, requirement in _requirements().items()}


def _requirements() -> dict[str, str]:
    try:
        lines = [line for line in metadata.requires("multiface") or [] if "extra ==" not in line]
    except metadata.PackageNotFoundError:  # run from a source tree that was never installed
        lines = []
    found = {_name(line): line.split(";")[0].strip() for line in lines}
    return {**{name: name for name in _PURPOSE if name not in found}, **found}


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement)
    return match.group().lower().replace("_", "-") if match else requirement


def _look(name: str, requirement: str) -> Package:
    module_name = _MODULES.get(name, name.replace("-", "_"))
    version, module, problem = _version(name), None, ""
    try:
        if name in _IMPORTED:
            module = importlib.import_module(module_name)
            version = version or getattr(module, "__version__", None)
        elif importlib.util.find_spec(module_name) is None:
            problem = "missing"
    except BROKEN as error:
        lines = str(error).strip().splitlines()
        absent = isinstance(error, ModuleNotFoundError) and error.name == module_name
        problem = "missing" if absent else f"cannot be imported: {lines[0] if lines else type(error).__name__}"
    if not problem and version and _older(version, requirement):
        problem = f"too old, wanted {requirement}"
    return Package(name, requirement, version, problem, None if problem else module)


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _older(version: str, requirement: str) -> bool:
    minimum = re.search(r">=\s*([0-9.]+)", requirement)
    return bool(minimum) and _numbers(version) < _numbers(minimum.group(1) if minimum else "")


def _numbers(version: str) -> tuple[int, ...]:
    """Leading numbers of a version: ``2.13.0+cpu`` -> (2, 13, 0)."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()
