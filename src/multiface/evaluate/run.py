"""A whole test: open checkpoint and capture, match them, measure, and keep the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from multiface import losses
from multiface.core.errors import ArgumentError, CheckpointError
from multiface.core.files import make_folder
from multiface.data import BatchLoader, Normalisation
from multiface.evaluate.protocols import Measurement, Pictures, adapted, frozen, mean_prediction
from multiface.models import FaceModel, check_matches, load_model
from multiface.train.build import choose_device
from multiface.train.cameras import camera_table, require_rows
from multiface.train.config import TestConfig
from multiface.train.setup import DataSetup, make_normalisation, open_data
from multiface.train.step import ScreenSettings, Step


@dataclass
class TestRun:
    """A model on a capture's test set, ready to be measured.

    Attributes:
        step: Model and how it is fed.
        data: The capture and its splits.
        loader: Test batches; with photos when the capture has them.
        notes: What the user should know: unknown cameras, missing photos, samples left out.
    """

    __test__ = False

    config: TestConfig
    step: Step
    data: DataSetup
    loader: BatchLoader
    device: torch.device
    notes: list[str]

    def measure(
        self, *, pictures: Pictures | None = None, progress: Callable[[str], None] | None = None
    ) -> dict[str, Measurement | None]:
        """Run the protocols asked for; ``{"frozen": ..., "adapted": ..., "mean": ...}``, None where not asked for."""
        say = progress or (lambda _: None)
        results: dict[str, Measurement | None] = {"frozen": None, "adapted": None, "mean": None}
        if self.config.report in ("both", "frozen"):
            say("frozen")
            results["frozen"] = frozen(self.step, self.loader, self.device, pictures=pictures)
        if self.config.report in ("both", "adapted"):
            results["adapted"] = adapted(
                self.step,
                self.data.loader(self.loader.index, self.config.val_batch_size, shuffle=True, seed=self.config.seed),
                self.device,
                self._weights(),
                learning_rate=self.config.lr,
                passes=self.config.passes,
                batches_per_pass=self.config.val_num,
                seed=self.config.seed,
                progress=lambda now, total: say(f"adapted, pass {now} of {total}"),
            )
        say("mean prediction")
        results["mean"] = mean_prediction(self.step, self.loader, self.device)
        self.notes += [f"left out: {what} ({reason})" for what, reason in self.loader.skipped]
        return results

    def _weights(self) -> losses.LossWeights:
        c = self.config
        screen = c.lambda_screen if self.data.picture_size is not None else 0.0
        return losses.LossWeights(c.lambda_verts, c.lambda_tex, screen, c.lambda_kl)


def open_test(config: TestConfig) -> TestRun:
    """Match a checkpoint with a capture.

    Raises:
        MultifaceError: no checkpoint, sizes that differ from the options or the capture, an empty test set...
    """
    if config.model_path is None:
        raise ArgumentError("no model was given", expected="--model_path FILE", remedy="Train one with `multiface train`")
    device = choose_device(config.device)
    data = open_data(config, photos=_has_photos(config))
    model = load_model(config.model_path)
    check_matches(
        model.info,
        arch=config.arch,
        tex_size=config.tex_size,
        nlatent=config.nlatent,
        mesh_inp_size=config.mesh_inp_size,
        where=config.model_path,
    )
    index = data.test_index()
    table, notes = _camera_rows(model, data, [sample.camera for sample in index.samples])
    make_folder(config.result_path)
    step = Step(
        model.to(device),
        model_normalisation(model, data).to(device),
        data.topology,
        table.to(device),
        ScreenSettings(config.interpolation, None if data.weight is None else data.weight.to(device)),
    )
    if data.picture_size is None:
        notes.append("the capture has no photos: no screen error, PSNR or SSIM")
    if index.skipped:
        notes.append(f"left out: {len(index.skipped)} samples, the first: {index.skipped[0].what} ({index.skipped[0].reason})")
    loader = data.loader(index, config.val_batch_size, shuffle=False)
    return TestRun(config, step, data, loader, device, notes)


def model_normalisation(model: FaceModel, data: DataSetup) -> Normalisation:
    """The statistics a model was trained with: its own where the checkpoint carries them, else the capture's.

    Raises:
        CheckpointError: the model is for meshes of another size than the capture's.
    """
    if model.info.mesh_inp_size != 3 * data.capture.n_vertices:
        raise CheckpointError(
            "the model is for other meshes than the capture's",
            expected=f"{model.info.mesh_inp_size // 3} vertices",
            found=f"{data.capture.n_vertices} in {data.capture.path}",
            remedy="Use a model that was trained on this topology",
        )
    if model.info.statistics is not None:
        return Normalisation.from_state(dict(model.info.statistics))
    return make_normalisation(data.capture, model.info.tex_size)


def _camera_rows(model: FaceModel, data: DataSetup, used: list[str]):
    krt_names = list(data.capture.cameras)
    table, unknown = camera_table(krt_names, model.info.camera_names, model.info.n_cams)
    used_names = sorted(set(used))
    require_rows(table, krt_names, used_names, model.info.n_cams)
    strangers = [name for name in used_names if name in unknown]
    notes = []
    if strangers:
        notes.append(f"cameras the model does not know use the neutral colour correction: {', '.join(strangers)}")
    return table, notes


def _has_photos(config: TestConfig) -> bool:
    if config.data_dir is None:
        return False
    return (config.data_dir / "images").is_dir()
