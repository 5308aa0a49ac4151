"""multiface: photo-real, drivable face models from multi-view captures.

Importing this package is cheap: each public name is imported from its room on first use.
See ``docs/conventions.md`` for units, frames of reference, pixel and texel centres, and colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from multiface.core.lazy import lazy_names

__version__ = "0.1.0"

_LAZY = {
    "Capture": "multiface.capture",
    "build_model": "multiface.models",
    "load_model": "multiface.models",
    "render_mesh": "multiface.render",
    "MultifaceError": "multiface.core.errors",
}

__all__ = ["Capture", "MultifaceError", "__version__", "build_model", "load_model", "render_mesh"]

if TYPE_CHECKING:
    from multiface.capture import Capture
    from multiface.core.errors import MultifaceError
    from multiface.models import build_model, load_model
    from multiface.render import render_mesh


__getattr__ = lazy_names(__name__, _LAZY)


def __dir__() -> list[str]:
    return __all__
