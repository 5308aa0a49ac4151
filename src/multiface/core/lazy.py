"""Imports on first use: optional packages, with the pip line in the error, and names of rooms that are slow to import."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from multiface.core.errors import DependencyError


def optional_import(module: str, *, purpose: str, install: str) -> ModuleType:
    """Import ``module`` or raise a :class:`DependencyError` that says how to get it.

    Args:
        module: Dotted module name, for example ``"av"``.
        purpose: What it is needed for, for example ``"writing MP4 videos"``.
        install: The requirement to install, for example ``"av>=12.3"`` or ``"multiface[viewer]"``.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{purpose} needs the package '{module}', which cannot be imported ({error})",
            remedy=f"Install it with: pip install '{install}'",
        ) from error


def lazy_names(module: str, sources: Mapping[str, str]) -> Callable[[str], Any]:
    """A module's ``__getattr__`` (PEP 562) that imports each public name from its source when it is first asked for.

    Args:
        module: ``__name__`` of the module, for the message.
        sources: Module that defines each name.
    """

    def get(name: str) -> Any:
        if name not in sources:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(importlib.import_module(sources[name]), name)

    return get
