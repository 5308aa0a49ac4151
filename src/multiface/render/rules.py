"""The numbers in the definition of the picture, shared by all backends."""

from __future__ import annotations

NEAR = 1e-3
"""Millimetres: a triangle with a vertex at camera z not beyond this is dropped as a whole."""

FARTHEST_PIXEL = 1e12
"""Pixels: a triangle with a vertex projected farther than this from the origin is dropped as a whole."""

FLATTEST = 1e-12
"""A triangle whose doubled area is at most this fraction of its squared extent covers nothing.

Well above the rounding of float64, so that the sign of the area of every triangle that is drawn is certain.
"""

LONGEST_WALK = 64
"""Triangles between the centres of two neighbouring pixels that silhouette gradients look at; beyond, there is no gradient."""

SAME_PLACE = 1e-6
"""Borders that are no farther apart than this, in pixels and as a fraction of their depth, are a seam and not a silhouette."""

PARALLEL = 1e-6
"""Planes whose relative depths diverge by no more than this per pixel have no line of intersection."""

INTERPOLATIONS = ("perspective", "affine")
