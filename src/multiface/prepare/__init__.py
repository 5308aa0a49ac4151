"""Makes captures: unwrapping photos into textures, averages and statistics, and the virtual stage."""

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
