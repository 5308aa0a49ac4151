"""Optional packages: imported on first use, with the pip line in the error when they are missing."""

from __future__ import annotations

import importlib
from types import ModuleType

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
