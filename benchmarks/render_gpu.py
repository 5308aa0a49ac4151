"""Time and memory of the GPU renderer on the real frame, batch 16 at 2048 x 1334, and of its stages.

    python benchmarks/render_gpu.py ASSETS [--batch 16] [--stages]

ASSETS is a folder with a real frame: ``*.bin``, ``*_avgtex.png``, ``*_transform.txt``, ``face_topology.obj``, ``KRT``,
``camera.txt``, a photo ``<frame>.png`` and ``loss_weight_mask.png``. Vertices get noise of 0.2 mm so that items differ.
Medians of repeated runs between device events; the L2 cache is flushed before each.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from multiface.capture import read_head_pose, read_image, read_krt, read_obj, read_vertices
from multiface.geometry import Topology, flip_rows, projection_matrix
from multiface.render import render_mesh, screen_loss

TEX_STD = 20.0


@dataclass(frozen=True)
class Workload:
    """Inputs on the device."""

    vertices: torch.Tensor
    projection: torch.Tensor
    topology: Topology
    texture: torch.Tensor
    photo: torch.Tensor
    weight: torch.Tensor

    @property
    def size(self) -> tuple[int, int]:
        return self.photo.shape[1], self.photo.shape[2]

    def leaves(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return tuple(t.detach().requires_grad_() for t in (self.vertices, self.projection, self.texture))

    def render(self, inputs, interpolation):
        vertices, projection, own = inputs
        return render_mesh(vertices, projection, self.topology, own, self.size, interpolation, "triton")

    def loss(self, inputs, interpolation):
        vertices, projection, texture = inputs
        return screen_loss(
            vertices, projection, self.topology, texture, self.photo, weight=self.weight, tex_std=TEX_STD,
            interpolation=interpolation, backend="triton",
        ).loss  # fmt: skip


def load(folder: Path, batch: int, device: str = "cuda") -> Workload:
    """The real frame, ``batch`` times, with noise."""
    vertices = read_vertices(next(folder.glob("*.bin")))
    frame = next(folder.glob("*.bin")).stem
    camera = read_krt(folder / "KRT")[(folder / "camera.txt").read_text().strip()]
    projection = projection_matrix(camera, read_head_pose(folder / f"{frame}_transform.txt"))
    texture = flip_rows(read_image(folder / f"{frame}_avgtex.png")).astype(np.float32) / 255
    weight = flip_rows(read_image(folder / "loss_weight_mask.png")).astype(np.float32)
    photo = read_image(folder / f"{frame}.png")
    random = torch.Generator(device).manual_seed(0)

    def repeated(array, noise: float) -> torch.Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array, np.float32)).to(device).expand(batch, *array.shape)
        return tensor + noise * torch.randn(tensor.shape, generator=random, device=device)

    photos = torch.from_numpy(photo.copy()).to(device).expand(batch, -1, -1, -1).contiguous()
    weight = torch.from_numpy(weight / weight.max()).permute(2, 0, 1).contiguous().to(device)
    return Workload(
        repeated(vertices, 0.2), repeated(projection, 0.0), read_obj(folder / "face_topology.obj").topology,
        repeated(texture.transpose(2, 0, 1), 0.01), photos, weight,
    )  # fmt: skip


def milliseconds(run, repeats: int = 15) -> float:
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


def peak_memory(run) -> float:
    """GB above what was allocated before."""
    run()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    kept = run()
    torch.cuda.synchronize()
    del kept
    return (torch.cuda.max_memory_allocated() - before) / 1e9


def graphed(run):
    """``run`` captured once, to be replayed."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def copy_rate() -> float:
    """Bytes per second of a large copy on the device, read and written counted."""
    source = torch.empty(1 << 30, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    return 2 * source.numel() / (milliseconds(lambda: target.copy_(source)) / 1e3)


def operations(work: Workload, interpolation: str) -> dict[str, object]:
    """Functions to be timed, by name."""
    inputs = work.leaves()
    gradient = torch.randn(len(work.photo), 3, *work.size, device="cuda")

    def forward():
        with torch.no_grad():
            return work.render(inputs, interpolation)

    def forward_and_backward():
        return torch.autograd.grad(work.render(inputs, interpolation).image, inputs, gradient)

    def loss_and_gradients():
        return torch.autograd.grad(work.loss(inputs, interpolation), inputs)

    def loss_alone():
        with torch.no_grad():
            return work.loss(inputs, interpolation)

    return {
        "forward": forward,
        "forward + backward": forward_and_backward,
        "screen loss, value": loss_alone,
        "screen loss, all gradients": loss_and_gradients,
    }


def floors(work: Workload, covered: float) -> dict[str, float]:
    """Bytes that have to move, each input read and each output written once; texels only where something is shown."""
    pixels = work.photo.numel() // 3
    texture = work.texture.numel() * 4 * 0.6
    outputs = pixels * (12 + 4 + 4)
    return {
        "forward": outputs + texture,
        "forward + backward": outputs + texture + pixels * 4 + covered * pixels * 12 + texture + work.texture.numel() * 4,
        "screen loss, value": covered * pixels * 3 + texture,
        "screen loss, all gradients": covered * pixels * 3 + texture + work.texture.numel() * 4,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("assets", type=Path)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    import triton

    print(torch.cuda.get_device_name(), "torch", torch.__version__, "triton", triton.__version__)
    rate = copy_rate()
    print(f"copy {rate / 1e12:.2f} TB/s")
    work = load(arguments.assets, arguments.batch)
    covered = float((operations(work, "perspective")["forward"]().triangle >= 0).float().mean())
    print(f"batch {arguments.batch}, {work.size[0]} x {work.size[1]}, coverage {covered:.3f}")
    bytes_moved = floors(work, covered)
    for interpolation in ("perspective", "affine"):
        for name, run in operations(work, interpolation).items():
            time = milliseconds(run)
            floor = bytes_moved[name] / rate * 1e3
            print(f"{interpolation:12} {name:28} {time:7.3f} ms   floor {floor:5.2f} ms, x{time / floor:4.1f}"
                  f"   {peak_memory(run):5.2f} GB")  # fmt: skip
    single = load(arguments.assets, 1)
    for name, run in operations(single, "perspective").items():
        print(f"batch 1, CUDA graph: {name:28} {milliseconds(graphed(run)):7.3f} ms   without {milliseconds(run):7.3f} ms")


if __name__ == "__main__":
    main()
