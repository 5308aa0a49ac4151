"""Time and memory of one optimisation step and of decoding on a GPU, for every architecture.

    python benchmarks/step.py [--archs base warp] [--screen off on] [--modes fast eager] [--folder DIR] [--json]

Medians between device events, the batch already on the device. "fast" is what training does on a GPU (bfloat16, compiled, one
recorded graph), "eager" single precision with each operation launched by itself. DIR holds a real frame; without it the head of
the virtual stage is used. Every combination is compiled in a process of its own, all at once; then they are measured one after
the other while the rest stand still. ``--layers`` measures the convolutions one by one in all the forms they can take.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from multiface.models import ARCHITECTURES, fast_decoder
from render_on_gpu import copy_rate
from render_workload import load_frame
from step_workload import LATENT, StepOptions, decoder_floor, floor, make_model, make_update, prepare

TARGETS = {
    ("base", False): 9.0, ("non", False): 9.0, ("res", False): 16.0, ("bilinear", False): 14.0, ("warp", False): 18.0,
    ("base", True): 14.0,
}  # fmt: skip
PUBLISHED = {
    ("base", False): 24.3, ("non", False): 25.0, ("res", False): 47.7, ("bilinear", False): 43.7, ("warp", False): 49.2,
    ("base", True): 64.5, ("non", True): 65.9, ("res", True): 88.8, ("bilinear", True): 84.6, ("warp", True): 90.6,
}  # fmt: skip
DECODER_TARGETS = {"base": 0.4, "warp": 1.0}
MEMORY_TARGETS = {("base", False): 2.5, ("base", True): 4.0}
WARM_UP = 6


def times_of(work, repeats: int) -> list[float]:
    """Milliseconds of each of ``repeats`` calls, between device events."""
    marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for begin, end in marks:
        begin.record()
        work()
        end.record()
    torch.cuda.synchronize()
    return [begin.elapsed_time(end) for begin, end in marks]


def measure_step(options: StepOptions, mode: str, repeats: int, rate: float, pause, profile: Path | None) -> dict:
    """A row: median time of a step and peak memory, network, optimisers and batch counted."""
    frame, batch = prepare(options)
    torch.cuda.reset_peak_memory_stats()
    began = time.perf_counter()
    update = make_update(options, frame, bf16=mode == "fast", compiled=mode == "fast")
    for _ in range(WARM_UP):
        update(batch)
    torch.cuda.synchronize()
    prepared = time.perf_counter() - began
    pause()
    warm_peak = torch.cuda.max_memory_allocated()
    torch.cuda.reset_peak_memory_stats()
    times = times_of(lambda: update(batch), repeats)
    reading = update.read()
    if reading.divergence is not None or not all(outcome.accepted for outcome in reading.outcomes):
        raise SystemExit(f"{options.arch}: the steps that were measured did not learn")
    if profile is not None:
        write_profile(lambda: update(batch), profile)
    least = floor(options, len(frame.vertices), rate)
    key = (options.arch, options.screen)
    return {
        "what": "step", "arch": options.arch, "screen": options.screen, "mode": mode, "batch": options.batch,
        "views_per_frame": options.views_per_frame, "ms": statistics.median(times), "ms_min": min(times),
        "ms_p90": sorted(times)[int(0.9 * len(times))], "published_ms": PUBLISHED.get(key), "target_ms": TARGETS.get(key),
        "floor_ms": least["ms"], "floor_bytes": least["bytes"], "floor_operations": least["operations"],
        "peak_gb": max(torch.cuda.max_memory_allocated(), warm_peak) / 1e9, "reserved_gb": torch.cuda.memory_reserved() / 1e9,
        "target_gb": MEMORY_TARGETS.get(key), "preparing_s": prepared, "losses": reading.outcomes[-1].values,
    }  # fmt: skip


def measure_decoder(options: StepOptions, n_vertices: int, repeats: int, rate: float) -> list[dict]:
    """Rows: one code at a time, as the model does it and with the decoder for use."""
    model = make_model(options, n_vertices).eval()
    z, view = torch.randn(1, LATENT, device="cuda"), torch.randn(1, 3, device="cuda")
    cams = torch.ones(1, dtype=torch.int64, device="cuda")
    least = decoder_floor(options, n_vertices, rate)
    with torch.no_grad():
        exact = model.decode(z, view, cams)
    rows = []
    for mode, bf16 in (("model", False), ("fast", True), ("fast, single precision", False)):
        with torch.no_grad():
            decode = model.decode if mode == "model" else fast_decoder(model, bf16=bf16)
            for _ in range(WARM_UP):
                out = decode(z, view, cams)
            times = times_of(lambda decode=decode: decode(z, view, cams), repeats)
        rows.append({
            "what": "decoder", "arch": options.arch, "mode": mode, "ms": statistics.median(times), "ms_min": min(times),
            "target_ms": DECODER_TARGETS.get(options.arch), "floor_ms": least["ms"], "floor_bytes": least["bytes"],
            "texture_error": float((out.texture - exact.texture).square().mean().sqrt() / exact.texture.std()),
            "vertex_error": float((out.vertices - exact.vertices).abs().max()),
        })  # fmt: skip
    return rows


def write_profile(work, path: Path) -> None:
    """Kernels of three calls, the longest first."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        for _ in range(3):
            work()
        torch.cuda.synchronize()
    totals: dict[str, list[float]] = {}
    for event in profiler.events() or []:
        each = totals.setdefault(event.name, [0.0, 0])
        each[0] += event.device_time / 3e3
        each[1] += 1
    lines = [f"{total:8.3f} ms  {count // 3:4d} x  {name[:150]}" for name, (total, count) in totals.items()]
    lines.sort(key=lambda line: -float(line.split()[0]))
    path.write_text(
        "\n".join([f"{sum(t for t, _ in totals.values()):.3f} ms of kernels", *lines[:80]]) + "\n", encoding="utf-8"
    )


def child(options: argparse.Namespace) -> list[dict]:
    """Measure one architecture, waiting for a line on stdin between preparing and measuring where a parent asks for it."""

    def pause() -> None:
        if options.child:
            print("READY", flush=True)
            sys.stdin.readline()

    (arch,), (screen,) = options.archs, options.screen
    settings = StepOptions(
        arch, screen == "on", options.batch, options.views_per_frame, options.tex_size, "cuda", options.folder
    )
    rate = options.bytes_per_s or measured_rate()
    rows, waited = [], False
    for mode in options.modes:
        profile = None if options.profiles is None else options.profiles / f"{arch}_{screen}_{mode}.txt"
        rows.append(measure_step(settings, mode, options.repeats, rate, (lambda: None) if waited else pause, profile))
        waited = True
        torch.cuda.empty_cache()
    if options.decoder and screen == options.decoder_with:
        rows += measure_decoder(settings, len(load_frame(options.folder).vertices), 4 * options.repeats, rate)
    return rows


def measured_rate() -> float:
    """Bytes per second of a copy on this device, leaving no memory behind."""
    rate = copy_rate(20)
    torch.cuda.empty_cache()
    return rate


def parent(options: argparse.Namespace) -> list[dict]:
    """One child for each combination: compiling together, measuring alone."""
    shared = ["--batch", options.batch, "--views_per_frame", options.views_per_frame, "--tex_size", options.tex_size]
    shared += ["--repeats", options.repeats, "--modes", *options.modes, "--json", "--child"]
    shared += ["--bytes_per_s", measured_rate()]
    for name in ("folder", "profiles"):
        if getattr(options, name) is not None:
            shared += [f"--{name}", getattr(options, name)]
    if not options.decoder:
        shared += ["--no-decoder"]
    shared += ["--decoder_with", options.screen[0]]
    combinations = [(arch, screen) for screen in options.screen for arch in options.archs]
    if options.screen_archs is not None:
        combinations = [(arch, screen) for arch, screen in combinations if screen == "off" or arch in options.screen_archs]
    environment = {**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": str(max(2, (os.cpu_count() or 2) // len(combinations)))}
    children = []
    for arch, screen in combinations:
        words = [sys.executable, __file__, "--archs", arch, "--screen", screen, *map(str, shared)]
        children.append(subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment))
    rows: list[dict] = []
    ready = [_read_until(each, "READY") for each in children]
    for combination, each, is_ready in zip(combinations, children, ready):
        if is_ready and each.stdin is not None and each.stdout is not None:
            each.stdin.write("\n")
            each.stdin.flush()
            lines: list[str] = list(each.stdout)
            found = json.loads(lines[-1])["rows"] if lines and not each.wait() else []
            rows += found
            for row in found:  # a benchmark that is cut short shows what it had
                print(f"{row['what']} {combination} {row['mode']}: {row['ms']:.3f} ms", file=sys.stderr, flush=True)
        if each.wait():
            print(f"{combination}: failed with status {each.returncode}", file=sys.stderr)
    return rows


def _read_until(process: subprocess.Popen, word: str) -> bool:
    return process.stdout is not None and any(line.strip() == word for line in process.stdout)


def report(rows: list[dict]) -> None:
    """Tables for people."""
    print("| step | mode | ms | 90 % | asked | published | floor | x floor | peak GB | asked |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for row in (row for row in rows if row["what"] == "step"):
        name = row["arch"] + (", screen loss" if row["screen"] else "")
        asked = [row["target_ms"] if row["mode"] == "fast" else None, row["published_ms"]]
        memory = row["target_gb"] if row["mode"] == "fast" else None
        cells = [name, row["mode"], f"{row['ms']:.2f}", f"{row['ms_p90']:.2f}", *(x or "" for x in asked)]
        cells += [f"{row['floor_ms']:.2f}", f"{row['ms'] / row['floor_ms']:.1f}", f"{row['peak_gb']:.2f}", memory or ""]
        print("| " + " | ".join(map(str, cells)) + " |")
    print("\n| decoder, batch 1 | mode | ms | asked | floor | texture error | vertex error |\n|---|---|---|---|---|---|---|")
    for row in (row for row in rows if row["what"] == "decoder"):
        cells = [row["arch"], row["mode"], f"{row['ms']:.3f}", row["target_ms"] or "", f"{row['floor_ms']:.3f}"]
        cells += [f"{row['texture_error']:.1e}", f"{row['vertex_error']:.1e}"]
        print("| " + " | ".join(map(str, cells)) + " |")


def versions() -> dict[str, str]:
    """Of what decides the figures."""
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    try:
        import triton

        return {"torch": torch.__version__, "cuda": str(torch.version.cuda), "triton": triton.__version__, "device": device}
    except ImportError:
        return {"torch": torch.__version__, "cuda": str(torch.version.cuda), "device": device}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--archs", nargs="+", default=list(ARCHITECTURES), choices=list(ARCHITECTURES))
    parser.add_argument("--screen", nargs="+", default=["off", "on"], choices=["off", "on"])
    parser.add_argument("--screen_archs", nargs="+", default=None, help="with the screen loss only these")
    parser.add_argument("--modes", nargs="+", default=["fast", "eager"], choices=["fast", "eager"])
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--views_per_frame", type=int, default=1)
    parser.add_argument("--tex_size", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--folder", type=Path, default=None, help="folder of a real frame")
    parser.add_argument("--profiles", type=Path, default=None, help="folder for a list of kernels of each combination")
    parser.add_argument("--decoder", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--decoder_with", default=None, help=argparse.SUPPRESS)
    parser.add_argument("--layers", nargs="*", choices=["up", "down", "same"], help="measure convolutions one by one as well")
    parser.add_argument("--bytes_per_s", type=float, default=None, help="of a copy on the device; measured when absent")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    options.decoder_with = options.decoder_with or options.screen[0]
    if not torch.cuda.is_available():
        raise SystemExit("this benchmark needs a GPU")
    if options.profiles is not None:
        options.profiles.mkdir(parents=True, exist_ok=True)
    alone = len(options.archs) * len(options.screen) == 1
    result = {"versions": versions(), "rows": child(options) if options.child or alone else parent(options)}
    if options.layers is not None:
        from step_layers import measure_layers, report_layers

        result["layers"] = measure_layers(options.repeats, options.layers)
        report_layers(result["layers"])
    if not options.child:
        print(json.dumps(result["versions"]))
        report(result["rows"])
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
