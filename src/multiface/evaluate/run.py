"""A whole test: open checkpoint and capture, match them, measure, and keep the result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from multiface import losses
from multiface.core.errors import ArgumentError, CheckpointError
from multiface.core.files import make_folder
from multiface.data import BatchLoader, Normalisation
from multiface.data.test_segments import DEFAULT_TEST_SEGMENTS, starts_with_any
from multiface.evaluate.adapted import adapted
from multiface.evaluate.figures import Published, published_figure
from multiface.evaluate.frozen import Pictures, frozen
from multiface.evaluate.measurement import Measurement
from multiface.evaluate.perceptual import WEIGHTS_NAME, load_perceptual
from multiface.evaluate.regions import regions_of
from multiface.evaluate.resolve import TestSet
from multiface.evaluate.settle import TestPlan, plan_test
from multiface.evaluate.values import Metrics
from multiface.models import FaceModel, check_matches, load_model
from multiface.train.cameras import camera_table, require_rows
from multiface.train.config import TestConfig
from multiface.train.devices import choose_device
from multiface.train.setup import DataSetup, make_normalisation
from multiface.train.step import ScreenSettings, Step

Say = Callable[[str], None]
FROZEN_BATCH_ON_GPU = 16  # batches smaller than this leave a GPU waiting; frozen figures do not depend on it


@dataclass
class TestRun:
    """A model on a capture's test set, ready to be measured.

    Attributes:
        config: Options, with what the protocol settles.
        step: Model and how it is fed.
        data: The capture.
        test_set: The exact samples.
        loader: Test batches; with photos when pictures are compared.
        metrics: What is measured besides the metrics that always are.
        reports: ``"frozen"`` and/or ``"adapted"``.
        published: The published figure of this person and architecture, or None.
        label: Name of the protocol with what is missing from it and what was changed: for the title of every table.
        changes: What differs from the protocol by options.
        notes: What the user should know: unknown cameras, missing photos, samples left out.
    """

    __test__ = False

    config: TestConfig
    step: Step
    data: DataSetup
    test_set: TestSet
    loader: BatchLoader
    device: torch.device
    metrics: Metrics
    reports: tuple[str, ...]
    published: Published | None
    label: str
    changes: tuple[str, ...]
    notes: list[str]

    def measure(self, *, pictures: Pictures | None = None, progress: Say | None = None) -> dict[str, Measurement | None]:
        """Run the reports asked for; ``{"frozen": ..., "adapted": ..., "mean": ...}``, None where not asked for.

        ``mean``, the mean mesh and texture predicted for every frame, comes with ``frozen``.
        """
        say = progress or (lambda _: None)
        results: dict[str, Measurement | None] = {"frozen": None, "adapted": None, "mean": None}
        if "frozen" in self.reports:
            results["frozen"], results["mean"] = frozen(
                self.step,
                self.loader,
                self.device,
                metrics=self.metrics,
                pictures=pictures,
                progress=lambda done, total: say(f"frozen, {done} of {total}"),
            )
        if "adapted" in self.reports:
            results["adapted"] = self._adapted(say)
        self.notes += [f"left out: {what} ({reason})" for what, reason in self.loader.skipped]
        return results

    def _adapted(self, say: Say) -> Measurement:
        c = self.config
        screen = c.lambda_screen if self.test_set.with_photos else 0.0
        return adapted(
            self.step,
            self.data.loader(self.test_set.index, c.val_batch_size, shuffle=True, seed=c.seed),
            self.device,
            losses.LossWeights(c.lambda_verts, c.lambda_tex, screen, c.lambda_kl),
            learning_rate=c.lr,
            passes=c.passes,
            batches_per_pass=c.val_num,
            seed=c.seed,
            metrics=self.metrics,
            progress=lambda now, total: say(f"adapted, pass {now} of {total}"),
        )


def open_test(config: TestConfig, *, given: frozenset[str] | None = None) -> TestRun:
    """Match a checkpoint with a capture.

    Args:
        config: Options.
        given: Names of the options that the user gave; those that differ from their defaults when absent.

    Raises:
        MultifaceError: no checkpoint, sizes that differ from the options or the capture, an empty test set...
    """
    if config.model_path is None:
        raise ArgumentError(
            "no model was given", expected="--model_path FILE, or --models FOLDER", remedy="Train one with `multiface train`"
        )
    device = choose_device(config.device)
    plan = plan_test(config, given)
    model = load_model(config.model_path)
    check_matches(
        model.info,
        arch=config.arch,
        tex_size=config.tex_size,
        nlatent=config.nlatent,
        mesh_inp_size=config.mesh_inp_size,
        where=config.model_path,
    )
    run = match_model(plan, model, device)
    make_folder(config.result_path)
    return run


def match_model(plan: TestPlan, model: FaceModel, device: torch.device) -> TestRun:
    """Put a model on a planned test.

    Raises:
        CheckpointError: the model is for other meshes, or cannot serve the cameras.
    """
    data, test_set, config = plan.data, plan.test_set, plan.config
    used = list(test_set.index.cameras)
    table, notes = _camera_rows(model, data, used)
    on_gpu = device.type == "cuda"
    if on_gpu:
        model = model.to(device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]  (not in the stubs)
    step = Step(
        model.to(device),
        model_normalisation(model, data).to(device),
        data.topology,
        table.to(device),
        ScreenSettings(config.interpolation, None if data.weight is None else data.weight.to(device)),
    )
    perceptual = load_perceptual(config.lpips_weights, device) if test_set.with_photos else None
    regions = regions_of(data.topology, test_set.protocol.regions)
    notes = [*plan.notes, *notes, *_unseen_notes(model, test_set)]
    if not regions:
        notes.append("no regions of the face are known for this topology: the mesh error is given as a whole")
    if test_set.with_photos and perceptual is None:
        notes.append(f"no LPIPS: its weights ({WEIGHTS_NAME}) are not here, and nothing is downloaded")
    published = published_figure(data.capture.entity, model.info.arch, test_set.protocol)
    if published is not None and not published.same:
        notes.append(f"the published figure is that of protocol {published.protocol}: to compare, test with --protocol")
    return TestRun(
        config=config,
        step=step,
        data=data,
        test_set=test_set,
        loader=data.loader(test_set.index, max(config.val_batch_size, FROZEN_BATCH_ON_GPU if on_gpu else 1), shuffle=False),
        device=device,
        metrics=Metrics.on(device, regions, perceptual),
        reports=plan.reports,
        published=published,
        label=plan.label,
        changes=plan.changes,
        notes=notes,
    )


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


def _camera_rows(model: FaceModel, data: DataSetup, used: list[str]) -> tuple[torch.Tensor, list[str]]:
    krt_names = list(data.capture.cameras)
    table, unknown = camera_table(krt_names, model.info.camera_names, model.info.n_cams)
    used_names = sorted(set(used))
    require_rows(table, krt_names, used_names, model.info.n_cams)
    strangers = [name for name in used_names if name in unknown]
    notes = []
    if strangers:
        notes.append(f"cameras the model does not know use the neutral colour correction: {', '.join(strangers)}")
    return table, notes


def _unseen_notes(model: FaceModel, test_set: TestSet) -> list[str]:
    """What the protocol wants unseen and the model may have seen."""
    notes, info, name = [], model.info, test_set.protocol.name
    if "cameras" in test_set.protocol.unseen:
        if info.camera_names is None:
            notes.append(f"{name} is about cameras that training left out; this checkpoint does not say which those are")
        else:
            known = sorted(set(test_set.index.cameras) & set(info.camera_names))
            if known:
                notes.append(f"NOT NOVEL VIEWS: the model was made with these cameras: {', '.join(known)}")
    options = (info.training or {}).get("options")
    if "segments" in test_set.protocol.unseen and isinstance(options, dict) and options.get("test_segment_config") is None:
        seen = sorted({key.segment for key in test_set.index.frames if not starts_with_any(key.segment, DEFAULT_TEST_SEGMENTS)})
        if seen:
            notes.append(f"NOT HELD OUT: the model was trained on segments that this protocol tests: {', '.join(seen)}")
    return notes
