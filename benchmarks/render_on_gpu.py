"""Times and memory of every render backend on a GPU; part of ``benchmarks/render.py``.

Medians of repeated runs between device events, the L2 cache flushed before each; gradients are those of vertices, projection
and texture. Memory is the peak above what was allocated before, inputs and flushing buffer not counted.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator

import torch

from multiface.core.errors import DependencyError
from multiface.render import render_mesh, screen_loss
from multiface.render.backends import find_backend
from render_workload import Frame, Workload, make_workload

BACKENDS = ("triton", "nvdiffrast", "reference")
SLOW_BACKENDS = ("reference",)
"""Measured on the smallest picture and a batch of 1 only."""
TEX_STD = 20.0
SHOWN_TEXELS = 0.6
"""Share of the texture that is looked at, for the fewest bytes that have to move."""


def measure(frame: Frame, backends: list[str], sizes: list[tuple[int, int]], batches: list[int], repeats: int) -> dict:
    """The rate of a copy, and a row for each backend that is installed, size, batch, interpolation and operation."""
    rate, rows, backends = copy_rate(repeats), [], installed(backends)
    for size in sizes:
        for batch in batches:
            work = make_workload(frame, batch, size, "cuda")
            smallest = size == min(sizes) and batch == 1
            for backend in [name for name in backends if smallest or name not in SLOW_BACKENDS]:
                for interpolation in ("perspective", "affine"):
                    rows += measure_backend(work, backend, interpolation, rate, repeats)
            if "nvdiffrast" in backends:
                rows += measure_nvdiffrast_operations(work, repeats)
            del work
            torch.cuda.empty_cache()
    return {"device": torch.cuda.get_device_name(), "copy_bytes_per_s": rate, "rows": rows}


def installed(backends: list[str]) -> list[str]:
    """Those of ``backends`` that can be used here; what the others need is printed."""
    names = []
    for name in backends:
        try:
            find_backend(name, torch.device("cuda"))
        except DependencyError as error:
            print(f"without {name}: {error}")
        else:
            names.append(name)
    return names


def measure_backend(work: Workload, backend: str, interpolation: str, rate: float, repeats: int) -> Iterator[dict]:
    """A row for each operation."""
    batch, floors = len(work.photo), fewest_bytes(work)
    for operation, run in operations(work, backend, interpolation).items():
        row = _row(work, backend, interpolation, operation)
        row |= {"ms": milliseconds(run, repeats), "peak_gb": peak_memory(run), "floor_ms": floors[operation] / rate * 1e3}
        if batch == 1 and backend == "triton":
            row["graph_ms"] = milliseconds(graphed(run), repeats)
        yield row


def _row(work: Workload, backend: str, interpolation: str, operation: str) -> dict:
    height, width = work.size
    return {
        "backend": backend, "interpolation": interpolation, "operation": operation,
        "height": height, "width": width, "batch": len(work.photo),
    }  # fmt: skip


def operations(work: Workload, backend: str, interpolation: str) -> dict[str, Callable[[], object]]:
    """Functions to be timed, by name."""
    inputs = work.leaves()
    gradient = torch.randn(len(work.photo), 3, *work.size, device="cuda")

    def picture():
        vertices, projection, texture = inputs
        return render_mesh(vertices, projection, work.topology, texture, work.size, interpolation, backend)

    def loss():
        vertices, projection, texture = inputs
        return screen_loss(
            vertices, projection, work.topology, texture, work.photo, weight=work.weight, tex_std=TEX_STD,
            interpolation=interpolation, backend=backend,
        ).loss  # fmt: skip

    return {
        "forward": torch.no_grad()(picture),
        "forward + backward": lambda: torch.autograd.grad(picture().image, inputs, gradient),
        "screen loss": torch.no_grad()(loss),
        "screen loss, gradients": lambda: torch.autograd.grad(loss(), inputs),
    }


def fewest_bytes(work: Workload) -> dict[str, float]:
    """What has to move: each input read once and each output written once; texels only where something is shown."""
    pixels, texture = work.photo.numel() // 3, work.texture.numel() * 4
    shown = render_mesh(work.vertices, work.projection, work.topology, work.texture, work.size).triangle >= 0
    covered = int(shown.sum())
    outputs, texels = pixels * (12 + 4 + 4), texture * SHOWN_TEXELS
    return {
        "forward": outputs + texels,
        "forward + backward": outputs + 2 * texels + pixels * 4 + covered * 12 + texture,
        "screen loss": covered * 3 + texels,
        "screen loss, gradients": covered * 3 + texels + texture,
    }


def measure_nvdiffrast_operations(work: Workload, repeats: int) -> Iterator[dict]:
    """rasterize, interpolate and texture by themselves: vertices already in its space, textures already in its order."""
    import nvdiffrast.torch as nvdiffrast

    context = nvdiffrast.RasterizeCudaContext()
    height, width = work.size
    faces = torch.from_numpy(work.topology.faces).int().cuda()
    uv_faces = torch.from_numpy(work.topology.uv_faces).int().cuda()
    uvs = torch.from_numpy(work.topology.uvs).float().cuda()[None]
    q = work.vertices @ work.projection[:, :, :3].mT + work.projection[:, None, :, 3]
    z = q[..., 2:]
    near, far = 0.99 * z.amin(), 1.01 * z.amax()
    middle = torch.stack([q[..., 0] * (2 / width) - q[..., 2], q[..., 1] * (2 / height) - q[..., 2]], -1)
    place = torch.cat([middle, ((far + near) * z - 2 * far * near) / (far - near), z], -1).contiguous().requires_grad_()
    texels = work.texture.permute(0, 2, 3, 1).contiguous().requires_grad_()
    gradient = torch.randn(len(work.photo), height, width, 3, device="cuda")

    def picture():
        raster, _ = nvdiffrast.rasterize(context, place, faces, work.size, grad_db=False)
        uv, _ = nvdiffrast.interpolate(uvs, raster, uv_faces)
        return nvdiffrast.texture(texels, uv, filter_mode="linear", boundary_mode="wrap")

    runs = {
        "forward": torch.no_grad()(picture),
        "forward + backward": lambda: torch.autograd.grad(picture(), (place, texels), gradient),
    }
    for operation, run in runs.items():
        row = _row(work, "nvdiffrast, its operations alone", "perspective", operation)
        yield row | {"ms": milliseconds(run, repeats), "peak_gb": peak_memory(run)}


def milliseconds(run: Callable[[], object], repeats: int) -> float:
    """Median time of ``run`` on the device."""
    flush = torch.empty(256 << 20, dtype=torch.uint8, device="cuda")
    times = []
    for index in range(repeats + 5):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        flush.zero_()
        torch.cuda._sleep(2_000_000)  # launches happen meanwhile: what is timed is the device
        start.record()
        run()
        end.record()
        end.synchronize()
        if index >= 5:
            times.append(start.elapsed_time(end))
    return statistics.median(times)


def peak_memory(run: Callable[[], object]) -> float:
    """GB above what was allocated before."""
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = run()
    torch.cuda.synchronize()
    del kept
    return (torch.cuda.max_memory_allocated() - before) / 1e9


def graphed(run: Callable[[], object]) -> Callable[[], object]:
    """``run`` captured once, to be replayed."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def copy_rate(repeats: int) -> float:
    """Bytes per second of a large copy on the device, read and written counted."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / (milliseconds(lambda: target.copy_(source), repeats) / 1e3)


def report(result: dict) -> None:
    """Tables of all rows."""
    print(f"\n{result['device']}, a copy moves {result['copy_bytes_per_s'] / 1e12:.2f} TB/s\n")
    print("| picture | batch | operation | backend | interpolation | ms | over the floor | CUDA graph, ms | GB |")
    print("|---|---|---|---|---|---|---|---|---|")
    for row in result["rows"]:
        graph = f"{row['graph_ms']:.3f}" if "graph_ms" in row else ""
        over = f"{row['ms'] / row['floor_ms']:.1f}" if "floor_ms" in row else ""
        print(
            f"| {row['height']} x {row['width']} | {row['batch']} | {row['operation']} | {row['backend']} |"
            f" {row['interpolation']} | {row['ms']:.3f} | {over} | {graph} | {row['peak_gb']:.2f} |"
        )
