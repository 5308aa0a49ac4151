"""Train on one real frame until its rendered picture beats the average texture's by 3 dB inside the mask.

    python benchmarks/one_frame_training.py [--shared DIR] [--max_iter N] [--json]

One camera, photo at a quarter of its size, texture 512, screen loss on, on the CPU.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from multiface.evaluate.metrics import masked_psnr
from multiface.geometry import flip_rows
from multiface.render import render_mesh
from multiface.train.build import build_trainer
from multiface.train.config import TrainConfig
from one_frame_capture import KEY, write_one_frame_capture

MARGIN_DB = 3.0


class _Watcher:
    def updated(self, position, values, images_per_second) -> None: ...
    def logged(self, iteration, values) -> None: ...
    def validated(self, iteration, values, best) -> None: ...
    def pictures(self, tag, prediction, batch) -> None: ...


def average_texture_psnr(capture) -> float:
    """PSNR (dB) inside the mask of the tracked mesh with the average texture against the photo."""
    camera = next(iter(capture.cameras))
    photo = torch.from_numpy(capture.photo(KEY, camera)).permute(2, 0, 1)[None].float()
    texture = torch.from_numpy(flip_rows(capture.texture(KEY, "average"))).permute(2, 0, 1)[None].float()
    mesh = torch.from_numpy(capture.vertices(KEY))[None]
    matrix = torch.from_numpy(capture.projection(KEY, camera))[None]
    shown = render_mesh(mesh, matrix, capture.topology, texture, photo.shape[-2:])
    return float(masked_psnr(shown.image, photo, shown.triangle >= 0))


def model_psnr(trainer) -> float:
    """The same of what the model says with its latent mean."""
    batch = next(iter(trainer.train_loader))
    trainer.step.model.eval()
    with torch.no_grad():
        prediction = trainer.step.predict(batch, sample=False, render=True)
    trainer.step.model.train()
    return float(masked_psnr(prediction.image.clamp(0, 1) * 255, prediction.photo * 255, prediction.covered))


def train_until_better(shared: Path, folder: Path, *, max_iter: int = 600, every: int = 50) -> dict[str, float]:
    """Train in rounds of ``every`` updates until the margin is reached; figures of what was seen."""
    capture = write_one_frame_capture(shared, folder / "capture")
    level = average_texture_psnr(capture)
    config = TrainConfig(
        data_dir=capture.path,
        result_path=folder / "run",
        nlatent=16,
        lr=2e-3,
        lr_decay=1.0,  # an epoch is one update here
        train_batch_size=1,
        lambda_screen=1.0,
        validation="none",
        epochs=1_000_000,
        max_iter=every,
        val_every=1_000_000,
        log_every=1_000_000,
        n_worker=1,
    )
    began = time.perf_counter()
    trainer = build_trainer(config, _Watcher())
    curve = {0: model_psnr(trainer)}
    while trainer.position.iteration < max_iter and curve[max(curve)] < level + MARGIN_DB:
        trainer.config = replace(trainer.config, max_iter=trainer.position.iteration + every)
        trainer.run()
        curve[trainer.position.iteration] = model_psnr(trainer)
    return {
        "average_texture_psnr": level,
        "model_psnr": curve[max(curve)],
        "gain_db": curve[max(curve)] - level,
        "iterations": max(curve),
        "seconds": time.perf_counter() - began,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, default=Path(__file__).resolve().parent.parent.parent / "shared")
    parser.add_argument("--max_iter", type=int, default=600)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = train_until_better(options.shared, Path(folder), max_iter=options.max_iter)
    for name, value in result.items():
        print(f"{name:>22}  {np.round(value, 3)}")
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
