"""Whether the fast way of training ends where the exact one does: the same capture, the same number of updates, several seeds.

    python benchmarks/train.py [--capture DIR] [--max_iter N] [--seeds 0 1 2] [--variants exact fast] [--jobs N] [--json]

"exact" is single precision, nothing compiled, one view of each frame in a batch; "fast" is the default on a GPU with several
views of a frame; "fast, jpeg" the same from a store of JPEG pictures, against "fast". Compared are the frozen errors on the
held-out segment (normalised): texture, mesh and screen. Without --capture one is filmed on the virtual stage first. Runs are
``multiface train`` and ``multiface test`` commands, so many at a time as --jobs says.
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
    "fast, jpeg": ["--views_per_frame", "4"],
}
AGAINST = {"fast": "exact", "fast, one view": "exact", "fast, jpeg": "fast"}
TERMS = ("tex", "mesh", "screen")
LIMIT = 0.02
"""Largest share by which the mean error of one way may lie above that of the way it is compared with."""


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
    data = capture if variant != "fast, jpeg" else capture.with_name(capture.name + " jpeg")
    words = [
        "train",
        data,
        "--result_path",
        folder / "run",
        "--validation",
        "none",
    ]
    words += ["--seed", seed, "--max_iter", options.max_iter, "--lambda_screen", 1]
    words += ["--lr", options.lr, "--lr_decay", options.lr_decay, "--nlatent", options.nlatent, "--epochs", 1_000_000]
    words += ["--train_batch_size", options.batch, "--cache_gb", 8, "--n_worker", options.workers, "--arch", options.arch]
    words += ["--val_every", 1_000_000, "--log_every", 1_000_000, "--save_every", 1_000_000, "--json", *VARIANTS[variant]]
    device = [] if options.device is None else ["--device", options.device]
    began = time.perf_counter()
    result = json.loads(_multiface([*words, *device]).splitlines()[-1])
    seconds = time.perf_counter() - began
    test = ["test", capture, "--model_path", result["checkpoint"], "--report", "frozen", "--result_path", folder / "test"]
    test += ["--no-page", "--images", 0, "--json", *device]
    frozen = json.loads(_multiface(test).splitlines()[-1])["frozen"]
    kept = {name: result[name] for name in ("iterations", "images_per_second", "discarded")}
    run = {"variant": variant, "seed": seed, "seconds": seconds, **kept, "frozen": {term: frozen[term] for term in TERMS}}
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
    """For each variant and each error: means over seeds here and of what it is compared with, their ratio, and the spread."""
    rows = []
    for variant, other in AGAINST.items():
        for term in TERMS:
            here = [run["frozen"][term] for run in runs if run["variant"] == variant]
            there = [run["frozen"][term] for run in runs if run["variant"] == other]
            if not (here and there):
                continue
            mean = statistics.mean(there)
            ratio = statistics.mean(here) / mean
            spread = statistics.stdev(there) / mean if len(there) > 1 else 0.0
            rows.append({
                "variant": variant, "against": other, "term": term, "there": mean, "here": statistics.mean(here),
                "ratio": ratio, "spread": spread, "within": ratio <= 1 + LIMIT,
            })  # fmt: skip
    return rows


def report(runs: list[dict], rows: list[dict]) -> None:
    """Tables for people."""
    print("| run | seed | texture | mesh | screen | images/s | s |\n|---|---|---|---|---|---|---|")
    for run in runs:
        errors = " | ".join(f"{run['frozen'][term]:.4f}" for term in TERMS)
        print(f"| {run['variant']} | {run['seed']} | {errors} | {run['images_per_second']:.0f} | {run['seconds']:.0f} |")
    print("\n| run | against | error | there | here | ratio | spread there | within 2 % |\n|---|---|---|---|---|---|---|---|")
    for row in rows:
        cells = [row["variant"], row["against"], row["term"], f"{row['there']:.4f}", f"{row['here']:.4f}"]
        cells += [f"{row['ratio']:.4f}", f"{row['spread']:.3f}", "yes" if row["within"] else "no"]
        print("| " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--capture", type=Path, default=None, help="with jpeg, a store is made beside it")
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
        if "fast, jpeg" in options.variants:
            _multiface(["pack", capture, capture.with_name(capture.name + " jpeg"), "--codec", "jpeg"])
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
