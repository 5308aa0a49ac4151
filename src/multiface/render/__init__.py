"""Differentiable mesh rendering: a plain PyTorch reference, and backends that must agree with it.

Definitions, the same for every backend:

* **Pixels.** Pixel (row i, column j) is sampled at ``(u, v) = (j + 0.5, i + 0.5)``; u right, v down, origin at the outer
  corner of the picture. Vertices reach the picture through ``q = M [x; 1]``, ``u = q.x / q.z``, ``v = q.y / q.z``, and
  their depth is ``q.z`` in millimetres (camera z, not distance).
* **Coverage.** A pixel belongs to a triangle when its sample is inside the three edges; on an edge exactly, the top-left
  rule decides. Both triangles of an edge compute the very same number with opposite signs, so each pixel along a shared
  edge belongs to exactly one of them. Both windings are drawn. There is no anti-aliasing.
* **Nothing is drawn** of a triangle without area (:data:`~multiface.render.rules.FLATTEST`), or with a vertex that is not
  finite, not in front of the camera (``z <=`` :data:`~multiface.render.rules.NEAR`; triangles are not clipped) or
  projected beyond :data:`~multiface.render.rules.FARTHEST_PIXEL`. Such triangles receive no gradient.
* **Visibility.** The smallest depth wins, compared after rounding to float32; of equal ones, the lowest triangle index.
* **Interpolation.** ``"perspective"``: the weights of the three corners are perspective correct, and depth follows the
  plane of the triangle (its reciprocal is affine in the picture). ``"affine"``, as in the published system: weights,
  and with them uv and depth, are affine in the picture.
* **Texture.** Bilinear with wrap-around; texel (row r, column c) of an (h, w) texture is centred at
  ``uv = ((c + 0.5) / w, (r + 0.5) / h)``, row 0 at v = 0.
* **Background.** Image and depth are 0, triangle is -1.
* **Gradients** of image and depth with respect to vertices, projection and texture are those at fixed visibility: there is
  none from silhouettes, unless asked for (:mod:`multiface.render.silhouettes`).
"""

from __future__ import annotations

from multiface.render.backends import backend_names
from multiface.render.operations import interpolate, rasterize, render_mesh
from multiface.render.results import Raster, Rendering
from multiface.render.screen_loss import ScreenLoss, screen_loss

__all__ = [
    "Raster",
    "Rendering",
    "ScreenLoss",
    "backend_names",
    "interpolate",
    "rasterize",
    "render_mesh",
    "screen_loss",
]
