"""Wall time and peak memory of whole commands: importing, helping, and the demo.

    python benchmarks/commands.py [--demo] [--repeats N] [--json]

Medians of N runs in new processes; the demo, which takes minutes, runs once and only when asked for.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMANDS = {
    "import multiface": (["-c", "import multiface"], 0.3),
    "multiface --help": (["-m", "multiface", "--help"], 0.7),
    "multiface train --help": (["-m", "multiface", "train", "--help"], None),
    "multiface doctor": (["-m", "multiface", "doctor"], None),
}


def timed(words: list[str]) -> float:
    """Seconds that a new interpreter takes for ``words``."""
    began = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = {}
    print("| command | seconds | to stay below |\n|---|---|---|")
    for name, (words, target) in COMMANDS.items():
        result[name] = statistics.median(timed(words) for _ in range(options.repeats))
        print(f"| `{name}` | {result[name]:.2f} | {target or '-'} |")
    if options.demo:
        with tempfile.TemporaryDirectory() as folder:
            result["demo"] = timed(["-m", "multiface", "demo", "--out", str(Path(folder) / "demo")])
        # The largest single process among the children, which is the demo; Linux counts in kilobytes.
        result["demo peak GB"] = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6
        print(f"| `multiface demo` | {result['demo']:.0f} | 360 |")
        print(f"| `multiface demo`, peak GB | {result['demo peak GB']:.2f} | 4 |")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
