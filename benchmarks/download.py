"""Getting the data: against wget one by one with md5sum and tar, from the same server on loopback.

    python benchmarks/download.py            2 GB, one archive of 3 GB, a plan of the whole release

Needs wget, md5sum and tar, and about 10 GB below --folder while it runs; everything is removed in the end. The server is a
process of its own that sends files with sendfile. Both sides end with ``sync`` of what they wrote, both extract the same
archives, and the order alternates from run to run.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

ROOT, ENTITY = "m--20180227--0000--6795937--GHS", "6795937"
SEGMENTS = ("E057_Cheeks_Puffed", "E061_Lips_Puffed")
SPLIT = "EXP_ROM07_Facial_Expressions"
CAMERAS = ("400002", "400004", "400007", "400008")
PHOTO, TEXTURE = 2_900_000, 1_300_000
"""Bytes of a photo and a texture of the release."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=Path("/tmp/multiface-benchmark-download"))
    parser.add_argument("--gigabytes", type=float, default=2.0)
    parser.add_argument("--large", type=float, default=3.0, help="gigabytes of the one large archive")
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--connections", type=int, default=4)
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    options.folder.mkdir(parents=True)
    try:
        print(json.dumps(measure(options), indent=1))
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)


def measure(options: argparse.Namespace) -> dict:
    served = options.folder / "served"
    print("writing the archives ...", file=sys.stderr)
    final = write_person(served / ENTITY, options.gigabytes)
    large = write_large(served / "large" / ENTITY, options.large)
    server = subprocess.Popen([sys.executable, __file__, "--serve", str(served)], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        runs: dict[str, list[dict]] = {"multiface": [], "wget": []}
        for run in range(options.runs):
            order = [("multiface", ours), ("wget", theirs)]
            for name, function in order if run % 2 == 0 else order[::-1]:
                print(f"run {run + 1}: {name} ...", file=sys.stderr)
                runs[name].append(function(options.folder / "out", url, served, options))
        result = {name: summary(found, final) for name, found in runs.items()}
        ratio = result["wget"]["seconds"] / result["multiface"]["seconds"]
        print("one large archive ...", file=sys.stderr)
        biggest = ours(options.folder / "out", f"{url}/large", served / "large", options)
    finally:
        server.terminate()
        server.wait()
    return {
        "selection_bytes": final,
        **result,
        "times_as_fast": round(ratio, 2),
        "large_archive": {"bytes": large, "seconds": biggest["seconds"], "memory_mb": biggest["memory_mb"]},
        "plan_of_everything": plan_seconds(options.folder),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
    }


def summary(runs: list[dict], final: int) -> dict:
    return {
        "seconds": round(median(run["seconds"] for run in runs), 2),
        "all_seconds": [run["seconds"] for run in runs],
        "cpu_seconds": round(median(run["cpu"] for run in runs), 2),
        "peak_disk_times_final": round(max(run["peak"] for run in runs) / final, 3),
        "memory_mb": max(run["memory_mb"] for run in runs),
    }


# What is served


def write_person(folder: Path, gigabytes: float) -> int:
    """Archives of one person with photos and textures of the sizes of the release; returns the bytes of the files."""
    folder.mkdir(parents=True)
    content = os.urandom(16 << 20)
    frame = len(CAMERAS) * (PHOTO + TEXTURE) + TEXTURE
    frames = max(int(gigabytes * 1e9 / frame / 4), 1)
    total = 0
    for segment in (*SEGMENTS, SPLIT):
        count = 2 * frames if segment == SPLIT else frames
        for kind, size, cameras in (
            ("images", PHOTO, CAMERAS),
            ("unwrapped_uv_1024", TEXTURE, ("average", *CAMERAS)),
        ):
            parts = [[camera] for camera in cameras] if segment == SPLIT else [list(cameras)]
            for part in parts:
                suffix = f"_cam{part[0]}" if segment == SPLIT else ""
                names = [f"{ROOT}/{kind}/{segment}/{c}/{102 + 3 * i:06d}.png" for c in part for i in range(count)]
                total += write_tar(folder / f"{kind}--{segment}{suffix}.tar", names, size, content)
        names = [f"{ROOT}/tracked_mesh/{segment}/{102 + 3 * i:06d}.bin" for i in range(count)]
        total += write_tar(folder / f"tracked_mesh--{segment}.tar", names, 87_672, content)
    total += write_tar(folder / "metadata.tar", [f"{ROOT}/KRT", f"{ROOT}/frame_list.txt"], 10_000, content)
    write_checksums(folder)
    return total


def write_large(folder: Path, gigabytes: float) -> int:
    """One archive of photos that takes no space here: a sparse file with nothing but headers in it."""
    folder.mkdir(parents=True)
    path = folder / f"images--{SEGMENTS[0]}.tar"
    count = int(gigabytes * 1e9 / PHOTO)
    with path.open("wb") as file:
        for i in range(count):
            info = tarfile.TarInfo(f"{ROOT}/images/{SEGMENTS[0]}/{CAMERAS[i % 4]}/{i:06d}.png")
            info.size = PHOTO
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            file.seek(PHOTO + -PHOTO % 512, os.SEEK_CUR)
        file.truncate(file.tell() + 1024)
    write_checksums(folder)
    return path.stat().st_size


def write_tar(path: Path, names: list[str], size: int, content: bytes) -> int:
    with path.open("wb") as file:
        for i, name in enumerate(names):
            info = tarfile.TarInfo(name)
            info.size = size
            file.write(info.tobuf(tarfile.GNU_FORMAT))
            start = 4099 * i % (len(content) - size)
            file.write(content[start : start + size])
            file.write(bytes(-size % 512))
        file.write(bytes(1024))
    return size * len(names)


def write_checksums(folder: Path) -> None:
    lines = []
    for path in sorted(folder.glob("*.tar")):
        digest = hashlib.md5()
        with path.open("rb") as file:
            while piece := file.read(1 << 20):
                digest.update(piece)
        lines.append(f"{digest.hexdigest()}  {path.name}\n")
    (folder / "CHECKSUM").write_text("".join(lines), encoding="utf-8")


# The two ways


def ours(out: Path, url: str, served: Path, options: argparse.Namespace) -> dict:
    large = served.name == "large"
    choice = ["--asset", "images", "--segment", SEGMENTS[0]] if large else ["--segment", *SEGMENTS, SPLIT]
    words = [sys.executable, "-m", "multiface", "download", "--entity", ENTITY, "--dest", str(out), "--base_url", url, *choice]
    words += ["--connections", str(options.connections), "--ignore_free_space"]
    if not large:
        words += ["--camera", *CAMERAS, "--asset", "images,textures,average,mesh,metadata"]
    return watched(out, [words])


def theirs(out: Path, url: str, served: Path, options: argparse.Namespace) -> dict:
    """The published way: wget one by one, then md5sum, then tar in processes, then away with the archives."""
    names = sorted(path.name for path in (served / ENTITY).iterdir())
    steps = [["wget", "-q", f"{url}/{ENTITY}/{name}", "-O", str(out / f"{ENTITY}{name}")] for name in names]
    steps += [["md5sum", str(out / f"{ENTITY}{name}")] for name in names if name.endswith(".tar")]
    return watched(out, steps, [str(out / f"{ENTITY}{name}") for name in names if name.endswith(".tar")])


def watched(out: Path, steps: list[list[str]], archives: list[str] | None = None) -> dict:
    """Run ``steps`` one after the other, unpack ``archives`` with as many tars as cores, and watch disk and memory."""
    out.mkdir(parents=True)
    os.sync()
    peak, stop = [0], threading.Event()
    watcher = threading.Thread(target=watch, args=(out, peak, stop))
    watcher.start()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.perf_counter()
    memory = 0
    for step in steps:
        process = subprocess.Popen(step, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        memory = max(memory, follow(process))
        assert process.returncode == 0, f"{step[:4]}: {process.stderr.read() if process.stderr else ''}"
    for i in range(0, len(archives or []), 2):
        running = [subprocess.Popen(["tar", "-xf", path, "-C", str(out)]) for path in (archives or [])[i : i + 2]]
        assert all(process.wait() == 0 for process in running)
    for path in archives or []:
        Path(path).unlink()
    subprocess.run(["sync", "-f", str(out)], check=True)
    seconds = time.perf_counter() - began
    stop.set()
    watcher.join()
    shutil.rmtree(out)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": round(seconds, 2), "cpu": round(cpu, 2), "peak": peak[0], "memory_mb": round(memory / 1024)}


def follow(process: subprocess.Popen) -> int:
    """Wait for a process; returns its largest resident memory in kB."""
    largest = 0
    while process.poll() is None:
        try:
            status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            largest = max(largest, int(re.search(r"VmHWM:\s+(\d+)", status)[1]))  # type: ignore[index]
        except (OSError, TypeError):
            pass
        time.sleep(0.02)
    return largest


def watch(folder: Path, peak: list[int], stop: threading.Event) -> None:
    """Note the largest number of bytes that files below ``folder`` take on disk."""
    while not stop.wait(0.5):
        total = 0
        for base, _, names in os.walk(folder):
            for name in names:
                try:
                    total += (Path(base) / name).lstat().st_blocks * 512
                except OSError:
                    continue
        peak[0] = max(peak[0], total)


def plan_seconds(folder: Path) -> dict[str, float]:
    """The whole command that plans the whole release offline: the shortest of five, by the clock and by processor time."""
    words = [sys.executable, "-m", "multiface", "download", "--dry_run", "--offline", "--dest", str(folder / "none")]
    clock, cpu = [], []
    for _ in range(5):
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(words, check=True, capture_output=True, cwd=folder)
        clock.append(time.perf_counter() - began)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return {"seconds": round(min(clock), 2), "cpu_seconds": round(min(cpu), 2)}


# The server


def serve(folder: Path) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = folder / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            match = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            size = path.stat().st_size
            start, end = (int(match[1]), int(match[2]) + 1 if match[2] else size) if match else (0, size)
            self.send_response(206 if match else 200)
            self.send_header("Content-Length", str(end - start))
            self.send_header("ETag", f'"{size:x}"')
            if match:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
            self.end_headers()
            self.wfile.flush()
            with path.open("rb") as file:
                while start < end:
                    start += os.sendfile(self.connection.fileno(), file.fileno(), start, end - start)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
