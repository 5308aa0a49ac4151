"""Whether the fast way of training ends where the exact one does: the same capture, the same number of updates, several seeds.

    python benchmarks/train.py [--capture DIR] [--max_iter N] [--seeds 0 1 2] [--variants exact fast] [--jobs N] [--json]

"exact" is single precision, nothing compiled, one view of each frame in a batch; "fast" is the default on a GPU with several
views of a frame. Compared are the frozen errors on the held-out segment (normalised): texture, mesh and screen. Without
--capture one is filmed on the virtual stage first. Runs are ``multiface train`` commands, so many at a time as --jobs says.
"""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

VARIANTS = {
    "exact": ["--precision", "fp32", "--no-compile", "--views_per_frame", "1"],
    "fast": ["--views_per_frame", "4"],
    "fast, one view": ["--views_per_frame", "1"],
}
TERMS = ("tex", "verts", "screen")
LIMIT = 0.02
"""Largest share by which the mean error of the fast way may lie above that of the exact one."""


def synthesise(folder: Path, options: argparse.Namespace) -> float:
    """Film the capture; the seconds it took."""
    began = time.perf_counter()
    height, width = options.image_size
    _multiface(
        ["synth", folder, "--segments", options.segments, "--frames_per_segment", options.frames_per_segment]
        + ["--n_cameras", options.n_cameras, "--image_size", height, width, "--tex_size", options.tex_size]
    )
    return time.perf_counter() - began


def train(capture: Path, folder: Path, variant: str, seed: int, options: argparse.Namespace) -> dict:
    """One run: its frozen errors at the end, and its speed."""
    words = ["train", capture, "--result_path", folder, "--seed", seed, "--max_iter", options.max_iter, "--lambda_screen", 1]
    words += ["--lr", options.lr, "--lr_decay", options.lr_decay, "--nlatent", options.nlatent, "--epochs", 1_000_000]
    words += ["--train_batch_size", options.batch, "--cache_gb", 8, "--n_worker", options.workers, "--arch", options.arch]
    words += ["--val_every", 1_000_000, "--log_every", 1_000_000, "--save_every", 1_000_000, "--json", *VARIANTS[variant]]
    if options.device is not None:
        words += ["--device", options.device]
    began = time.perf_counter()
    result = json.loads(_multiface(words).splitlines()[-1])
    kept = {name: result[name] for name in ("iterations", "images_per_second", "discarded", "validation")}
    run = {"variant": variant, "seed": seed, "seconds": time.perf_counter() - began, **kept}
    print(json.dumps(run), file=sys.stderr, flush=True)  # a benchmark that is cut short shows what it had
    return run


def _multiface(words: list) -> str:
    """Run the command; what it wrote to stdout."""
    command = [sys.executable, "-m", "multiface", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{shlex.join(command)} failed:\n{done.stderr[-4000:]}")
    return done.stdout


def compare(runs: list[dict]) -> list[dict]:
    """For each variant but the exact one and each error: means over seeds, their ratio and the spread of the exact runs."""
    rows = []
    for variant in dict.fromkeys(run["variant"] for run in runs if run["variant"] != "exact"):
        for term in TERMS:
            exact = [run["validation"][term] for run in runs if run["variant"] == "exact"]
            other = [run["validation"][term] for run in runs if run["variant"] == variant]
            if not exact:
                continue
            mean = statistics.mean(exact)
            ratio = statistics.mean(other) / mean
            spread = statistics.stdev(exact) / mean if len(exact) > 1 else 0.0
            rows.append({
                "variant": variant, "term": term, "exact": mean, "other": statistics.mean(other), "ratio": ratio,
                "spread": spread, "within": ratio <= 1 + LIMIT,
            })  # fmt: skip
    return rows


def report(runs: list[dict], rows: list[dict]) -> None:
    """Tables for people."""
    print("| run | seed | texture | mesh | screen | images/s | s |\n|---|---|---|---|---|---|---|")
    for run in runs:
        errors = " | ".join(f"{run['validation'][term]:.4f}" for term in TERMS)
        print(f"| {run['variant']} | {run['seed']} | {errors} | {run['images_per_second']:.0f} | {run['seconds']:.0f} |")
    print("\n| against exact | error | exact | here | ratio | spread of exact | within 2 % |\n|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [row["variant"], row["term"], f"{row['exact']:.4f}", f"{row['other']:.4f}", f"{row['ratio']:.4f}"]
        print("| " + " | ".join([*cells, f"{row['spread']:.3f}", "yes" if row["within"] else "no"]) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--capture", type=Path, default=None)
    parser.add_argument("--max_iter", type=int, default=2000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", default=["exact", "fast"], choices=list(VARIANTS))
    parser.add_argument("--jobs", type=int, default=6, help="runs at a time; their speeds are those of machines shared")
    parser.add_argument("--arch", default="base")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--nlatent", type=int, default=64)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--lr_decay", type=float, default=0.97)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--device", default=None)
    parser.add_argument("--segments", type=int, default=5)
    parser.add_argument("--frames_per_segment", type=int, default=10)
    parser.add_argument("--n_cameras", type=int, default=8)
    parser.add_argument("--image_size", type=int, nargs=2, default=[512, 334])
    parser.add_argument("--tex_size", type=int, default=512)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        capture = options.capture
        if capture is None:
            capture = folder / "capture"
            print(f"capture filmed in {synthesise(capture, options):.0f} s", file=sys.stderr)
        wanted = [(variant, seed) for seed in options.seeds for variant in options.variants]
        with ThreadPoolExecutor(options.jobs) as pool:
            runs = list(
                pool.map(lambda x: train(capture, folder / f"{x[0]} {x[1]}", *x, options), wanted)  # type: ignore[arg-type]
            )
    rows = compare(runs)
    report(runs, rows)
    if options.json:
        print(json.dumps({"runs": runs, "comparison": rows}))


if __name__ == "__main__":
    main()
