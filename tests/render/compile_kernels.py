"""Compile every kernel of the Triton backend for a device such as ``cuda:90:32`` or ``hip:gfx942:64``; needs no device."""

from __future__ import annotations

import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from multiface.render.gpu import (
    backward_kernels,
    geometry_backward,
    loss_kernels,
    raster_kernels,
    setup_kernels,
    shade_kernels,
    silhouette_kernels,
)

TYPES = {
    "float32": "vertices projection uvs texture image depth weight partial_losses moments texture_gradient packed unpacked"
    " image_gradient depth_gradient vertices_gradient barycentric factor",
    "float64": "screen surface homogeneous_gradient projection_gradient",
    "int32": "faces uv_faces twins heads triangle doubtful",
    "int64": "slopes larger links",
    "uint8": "photo",
}
POINTERS = {"float32": "*fp32", "float64": "*fp64", "int32": "*i32", "int64": "*i64", "uint8": "*u8"}
TILE = {"TILE_Y": 8, "TILE_X": 8, "WIDE": False, "PADDED": 4, "FOR_GEOMETRY": True, "FOR_TEXTURE": True}
LISTS = {"LEVELS": 4, "LISTS": 32}
KERNELS = [
    (setup_kernels.project_kernel, {"BLOCK": 128}),
    (setup_kernels.setup_kernel, {"TEXTURED": True, **LISTS, "BLOCK": 32}),
    (raster_kernels.visibility_kernel, LISTS),
    (raster_kernels.exact_visibility_kernel, {**LISTS, "GROUP": 32}),
    (raster_kernels.barycentric_kernel, {"BLOCK": 128}),
    (shade_kernels.shade_kernel, {**TILE, "CHANNELS": 3, "WITH_DEPTH": True, "CACHE": ".cs"}),
    (backward_kernels.picture_backward_kernel, {**TILE, "CHANNELS": 3, "WITH_DEPTH": True}),
    (backward_kernels.unpack_kernel, {"CHANNELS": 3, "PADDED": 4, "BLOCK": 1024}),
    (geometry_backward.triangle_backward_kernel, {"BLOCK": 128}),
    (geometry_backward.vertex_backward_kernel, {"BLOCK": 128}),
    (silhouette_kernels.silhouette_kernel, {"CHANNELS": 3, "TILE_Y": 8, "TILE_X": 16}),
    (loss_kernels.screen_loss_kernel, {**TILE, "WEIGHTED": True, "ATTACHED": True}),
]


def signature(kernel, constants: dict) -> tuple[dict[str, str], dict]:
    """Types of the arguments by their names, and the constants that the kernel takes by their positions."""
    kinds = {name: POINTERS[kind] for kind, names in TYPES.items() for name in names.split()}
    types, values = {}, {}
    for position, name in enumerate(kernel.arg_names):
        if name in constants:
            types[name], values[(position,)] = "constexpr", constants[name]
        elif name == "factor" and kernel is loss_kernels.screen_loss_kernel:
            types[name] = "fp32"
        else:
            types[name] = kinds.get(name, "i32")
    return types, values


def main() -> None:
    backend, architecture, warp = sys.argv[1].split(":")
    target = GPUTarget(backend, int(architecture) if architecture.isdigit() else architecture, int(warp))
    for kernel, constants in KERNELS:
        types, values = signature(
            kernel, {**constants, "PERSPECTIVE": True} if "PERSPECTIVE" in kernel.arg_names else constants
        )
        triton.compile(ASTSource(kernel, types, constexprs=values), target=target, options={"num_warps": 1})
        print(kernel.__name__, "compiled")


if __name__ == "__main__":
    main()
