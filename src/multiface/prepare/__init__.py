"""Makes captures: unwrapping photos into textures, averages and statistics, and the virtual stage.

Names are imported on first use, so that the stage's options can be shown without PyTorch.
"""

from typing import TYPE_CHECKING

from multiface.core.lazy import lazy_names

if TYPE_CHECKING:
    from multiface.prepare.average import TextureAverage
    from multiface.prepare.capture import LeftOut, UnwrapReport, unwrap_capture
    from multiface.prepare.link import link_capture
    from multiface.prepare.statistics import TextureStatistics, VertexStatistics
    from multiface.prepare.unwrap import unwrap_frame, unwrap_photo, view_cosine
    from multiface.prepare.uv_map import SurfaceMap, UvMap

__all__ = [
    "LeftOut",
    "SurfaceMap",
    "TextureAverage",
    "TextureStatistics",
    "UnwrapReport",
    "UvMap",
    "VertexStatistics",
    "link_capture",
    "unwrap_capture",
    "unwrap_frame",
    "unwrap_photo",
    "view_cosine",
]

_SOURCES = {
    "average": ("TextureAverage",),
    "capture": (
        "LeftOut",
        "UnwrapReport",
        "unwrap_capture",
    ),
    "link": ("link_capture",),
    "statistics": (
        "TextureStatistics",
        "VertexStatistics",
    ),
    "unwrap": (
        "unwrap_frame",
        "unwrap_photo",
        "view_cosine",
    ),
    "uv_map": (
        "SurfaceMap",
        "UvMap",
    ),
}
__getattr__ = lazy_names(__name__, {name: f"{__name__}.{module}" for module, names in _SOURCES.items() for name in names})
