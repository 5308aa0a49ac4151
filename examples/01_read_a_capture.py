"""Read a capture: cameras, frames, meshes, pictures.  python examples/01_read_a_capture.py CAPTURE"""

from __future__ import annotations

import sys

import numpy as np

from multiface.capture import Capture
from multiface.geometry import project_points

capture = Capture(sys.argv[1])
print(f"{len(capture.cameras)} cameras, {len(capture.frames)} frames in {len(capture.segments)} segments")

key = capture.frames[0]
for name, camera in capture.cameras.items():
    # Head-space vertices (mm) straight to pixels of this camera's photo.
    pixels, depth = project_points(capture.projection(key, name), capture.vertices(key))
    inside = np.mean((pixels >= 0).all(1) & (pixels < camera.size[::-1]).all(1))
    print(f"{name}: {camera.size[1]} x {camera.size[0]}, {np.median(depth):.0f} mm away, sees {inside:.0%} of the vertices")
