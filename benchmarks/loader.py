"""How many images per second the data path delivers: from PNG files and from stores, with and without photos.

    python benchmarks/loader.py [--real DIR] [--sources png raw lz4 jpeg] [--threads 12] [--device cuda] [--train] [--index]

DIR holds one real frame (research assets with a licence of their own, not part of the repository); without it one frame of
the virtual stage is filmed. Its files are linked under the names of many frames and cameras in a temporary folder (--folder).
Of --packed frames stores are made, which list them again and again until there are as many. Nothing is kept decoded in memory.
``--train`` runs the trainer's own updates on a GPU, fed by the data path.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import tempfile
import time
from contextlib import closing
from pathlib import Path

from loader_capture import SIZE, copies_of, frame_keys, write_capture_of_copies, write_many_files
from repeated_store import list_again

TARGETS = {("png", False): 500, ("png", True): 200, ("packed", False): 1500, ("packed", True): 900}
"""Images per second end to end on 16 cores and an H100: source, with the screen loss."""
WARM_UP = 12
"""Updates in a row without one that took a second, which is what compiling takes, before they are counted; those do not count
during which processes that read were still starting."""


def main() -> None:
    options = _options()
    rows: list[dict] = []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        os.environ["MULTIFACE_CACHE"] = str(Path(folder) / "cache")
        if options.index:
            rows += _shown(measure_index(Path(folder), options.index_files))
        if options.sources:
            places = prepare(Path(folder), options)
            runs = itertools.product(options.sources, options.photos, options.views_per_frame)
            for source, photos, views_per_frame in runs:
                if not options.train_only:
                    rows += _shown([measure_loading(places[source], source, photos, views_per_frame, options)])
                if options.train or options.train_only:
                    rows += _shown([measure_training(places[source], source, photos, views_per_frame, options)])
            if options.processes:
                rows += _shown(measure_processes(places, options))
    if options.json:
        print(json.dumps({"rows": rows, **machine(options)}))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", type=Path, help="folder of one real frame")
    parser.add_argument("--folder", type=Path, help="where to make the temporary folder")
    parser.add_argument("--sources", nargs="*", default=["png", "lz4", "jpeg"], help="png, or codecs of multiface pack")
    parser.add_argument("--photos", nargs="*", type=int, default=[0, 1], help="0: textures only, 1: photos too")
    parser.add_argument("--views_per_frame", nargs="*", type=int, default=[1, 4])
    cores = len(os.sched_getaffinity(0))
    parser.add_argument("--threads", type=int, default=max(2, cores * 3 // 4), help="more read no faster")
    parser.add_argument(
        "--reading_processes", type=int, help="among which the trainer's are divided; as it chooses when absent"
    )
    parser.add_argument("--processes", type=int, default=0, help="also time that many processes of one thread each")
    parser.add_argument("--device", default="cpu", help="cuda: batches are copied there")
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--frames", type=int, default=256, help="in a real capture epochs are long, too")
    parser.add_argument("--packed", type=int, default=24, help="frames on the disk of a store, all different bytes")
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--train", action="store_true", help="also with the trainer's updates (needs a GPU to mean something)")
    parser.add_argument("--train_only", action="store_true")
    parser.add_argument("--arch", default="base")
    parser.add_argument("--index", action="store_true", help="also time the index of many files")
    parser.add_argument("--index_files", type=int, default=200_000)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def prepare(folder: Path, options: argparse.Namespace) -> dict[str, Path]:
    """The capture, and a store for each codec; their paths by source."""
    from multiface.capture.store import LOSSY
    from multiface.prepare.pack import PackSettings, pack_capture

    capture = write_capture_of_copies(folder, options.real, frames=options.frames, cameras=options.cameras)
    packed = min(options.frames, options.packed)
    few = copies_of(capture, folder / "few" / capture.name, frames=packed - 1, cameras=options.cameras)
    places = {"png": capture.path}
    for codec in options.sources:
        if codec != "png":
            average = "lz4" if codec in LOSSY else codec  # as `multiface pack --codec` does
            settings = PackSettings(texture_codec=codec, average_codec=average, photo_codec=codec)
            report = pack_capture(few.path, folder / codec / capture.name, settings, workers=options.threads)
            list_again(report.store, frame_keys(options.frames))
            places[codec] = report.store
            psnr = ", ".join(f"{kind} {value['mean']:.1f} dB" for kind, value in report.psnr.items())
            megabytes = report.bytes / 1e6
            print(
                f"packed {codec}: {megabytes:,.0f} MB in {report.seconds:.1f} s, {megabytes / report.seconds:,.0f} MB/s {psnr}"
            )
    return places


def make_loader(path: Path, photos: bool, views_per_frame: int, options: argparse.Namespace, **more):
    """A loader of the training segment that keeps nothing decoded."""
    from multiface.capture import Capture
    from multiface.data import BatchLoader, build_index

    capture = Capture(path)
    index = build_index(capture, capture.frames, None, exclude=("EXP_ROM",), need_photo=photos)
    photo_size = SIZE if photos else None
    settings = {"workers": options.threads, "views_per_frame": views_per_frame, "cache_bytes": 0, **more}
    return BatchLoader(capture, index, options.batch_size, photo_size=photo_size, shuffle=True, **settings)


def measure_loading(path: Path, source: str, photos: bool, views_per_frame: int, options: argparse.Namespace) -> dict:
    """Images per second that arrive on the device when nothing else happens."""
    from multiface.data import DevicePrefetcher

    loader = make_loader(path, photos, views_per_frame, options)
    batches = DevicePrefetcher(loader, options.device) if options.device == "cuda" else _InMemory(loader)
    images, seconds, cpu = _delivered(batches, loader, options.seconds)
    return {
        "what": "loading",
        "source": source,
        "photos": bool(photos),
        "views_per_frame": views_per_frame,
        "threads": options.threads,
        "images_per_s": images / seconds,
        "cpu_ms_per_image": 1000 * cpu / images,
        "peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


class _InMemory:
    """Batches in memory that is used again, where there is no device to copy them to."""

    device = None

    def __init__(self, loader) -> None:
        self._loader, self._ring = loader, loader.ring(pinned=False)

    def __iter__(self):
        with closing(self._loader.read(self._ring)) as batches:
            for _, read in batches:
                self._ring.give(read.buffers)
                yield read.samples


def _delivered(batches, loader, seconds: float) -> tuple[int, float, float]:
    """Images, seconds and seconds of all cores after a first epoch's first batches, which compile and warm up."""
    images, began, cpu, epoch, warm = 0, 0.0, 0.0, 0, 0
    while True:
        loader.set_epoch(epoch)
        epoch += 1
        for batch in batches:
            warm += 1
            if warm == 3:
                _synchronise(batches.device)
                images, began, cpu = 0, time.perf_counter(), time.process_time()
            elif warm > 3:
                images += len(batch)
                if time.perf_counter() - began > seconds:
                    _synchronise(batches.device)
                    return images, time.perf_counter() - began, time.process_time() - cpu


def _synchronise(device) -> None:
    import torch

    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)


def measure_training(path: Path, source: str, photos: bool, views_per_frame: int, options: argparse.Namespace) -> dict:
    """Images per second of the trainer's updates, and the share of the time in which the device had nothing to do.

    That is what is left over of the time that as many updates take with one batch again and again, and nothing read beside.
    """
    trainer = _trainer(path, photos, views_per_frame, options)
    trainer.step.model.train()
    cuda = trainer.device.type == "cuda"
    images, waited, began, epoch, done, first, quick, batch = 0, 0.0, 0.0, 0, 0, 0, 0, None
    warm_up, counting, finished = WARM_UP if cuda else 1, False, False
    while not finished:
        trainer.train_loader.set_epoch(epoch)
        epoch += 1
        with closing(trainer.batches.shares()) as shares:
            for share in shares:
                if quick == warm_up and not counting:
                    _synchronise(trainer.device)
                    images, first, began, waited, counting = 0, done, time.perf_counter(), trainer.batches.waited_s, True
                started, batch = time.perf_counter(), share.batch
                _update(trainer, batch)
                images += len(batch)
                done += 1
                quick = quick + 1 if not cuda or (trainer.batches.is_settled and time.perf_counter() - started < 1) else 0
                if done % 20 == 0:
                    trainer.update.read()
                if counting and time.perf_counter() - began > options.seconds:
                    finished = True
                    break
    _synchronise(trainer.device)
    seconds = time.perf_counter() - began
    waits = (trainer.batches.waited_s - waited) / seconds
    rate, kind = images / seconds, "png" if source == "png" else "packed"
    step = _seconds_of_a_step(trainer, batch) if cuda else None
    trainer.close()
    return {
        "what": "training",
        "arch": options.arch,
        "source": source,
        "screen_loss": bool(photos),
        "views_per_frame": views_per_frame,
        "threads": options.threads,
        "reading_processes": "as chosen" if options.reading_processes is None else options.reading_processes,
        "images_per_s": rate,
        "asked": TARGETS[kind, bool(photos)],
        "device_waits": None if step is None else 1 - step * (done - first) / seconds,
        "host_waits_for_data": waits,
        "step_ms": None if step is None else 1000 * step,
        "peak_rss_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
    }


def _update(trainer, batch) -> None:
    trainer.noise.begin(0)
    trainer.update(batch)
    trainer.noise.end()


def _seconds_of_a_step(trainer, batch, steps: int = 100) -> float:
    for number in range(steps + 20):
        if number == 20:
            trainer.update.read()
            _synchronise(trainer.device)
            began = time.perf_counter()
        _update(trainer, batch)
        if number % 20 == 19:
            trainer.update.read()
    _synchronise(trainer.device)
    return (time.perf_counter() - began) / steps


def _trainer(path: Path, photos: bool, views_per_frame: int, options: argparse.Namespace):
    from multiface.train.build import build_trainer
    from multiface.train.config import TrainConfig

    config = TrainConfig(
        data_dir=path,
        result_path=path.parent / f"run-{time.monotonic_ns()}",
        arch=options.arch,
        lambda_screen=1.0 if photos else 0.0,
        train_batch_size=options.batch_size,
        views_per_frame=views_per_frame,
        validation="none",
        n_worker=options.threads,
        reading_processes=options.reading_processes,
        cache_gb=0.0,
        device=None if options.device == "cuda" else options.device,
    )
    return build_trainer(config, _Nobody())


class _Nobody:
    """Watches nothing."""

    def __getattr__(self, name: str):
        return lambda *args, **kwargs: None


def measure_processes(places: dict[str, Path], options: argparse.Namespace) -> list[dict]:
    """The same without photos by processes of one thread each: what they decode is not even handed over."""
    rows = []
    for source in options.sources:
        context = multiprocessing.get_context("spawn")
        with context.Pool(options.processes) as pool:
            jobs = [(places[source], rank, options) for rank in range(options.processes)]
            rates = pool.map(_one_process, jobs, chunksize=1)
        rows.append(
            {"what": "processes", "source": source, "photos": False, "processes": options.processes, "images_per_s": sum(rates)}
        )
    return rows


def _one_process(job: tuple[Path, int, argparse.Namespace]) -> float:
    path, rank, options = job
    options.threads = 1
    loader = make_loader(path, False, 1, options, seed=rank)
    images, seconds, _ = _delivered(_InMemory(loader), loader, options.seconds)
    return images / seconds


def measure_index(folder: Path, files: int) -> list[dict]:
    """Seconds to open a capture and list its samples: the first time, from the listing kept on disk, and at half the size."""
    rows = []
    for count in (files // 2, files):
        path = write_many_files(folder / f"index-{count}", files=count)
        time.sleep(3.5)  # a listing of folders that changed just now is not kept
        first, n = _time_index(path)
        again, _ = _time_index(path)
        rows.append({"what": "index", "files": count, "samples": n, "first_s": first, "again_s": again})
    return rows


def _time_index(path: Path) -> tuple[float, int]:
    from multiface.capture import Capture
    from multiface.data import build_index

    began = time.perf_counter()
    capture = Capture(path)
    index = build_index(capture, capture.frames, None)
    return time.perf_counter() - began, len(index)


def machine(options: argparse.Namespace) -> dict:
    """Where this was measured."""
    import platform

    import torch

    device = torch.cuda.get_device_name() if options.device == "cuda" else "CPU"
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {
        "device": device,
        "cores": len(os.sched_getaffinity(0)),
        **versions,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
    }


def _shown(rows: list[dict]) -> list[dict]:
    for row in rows:
        print(
            "  ".join(f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}" for name, value in row.items()),
            flush=True,
        )
    return rows


if __name__ == "__main__":
    main()
