"""*adapted*: the published protocol. Encoder and colour correction are fitted to the test frames, with ground truth and latent
noise, for several passes; the last one is reported. It makes numbers comparable to the published table and is not a
held-out error.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch

from multiface import losses
from multiface.data import BatchLoader
from multiface.evaluate.frozen import measured_batches
from multiface.evaluate.measurement import Measurement
from multiface.evaluate.samples import SampleRows
from multiface.evaluate.values import Metrics
from multiface.train.measure import apply_update, fit
from multiface.train.step import Step


def adapted(
    step: Step,
    loader: BatchLoader,
    device: torch.device,
    weights: losses.LossWeights,
    *,
    learning_rate: float = 3e-4,
    passes: int = 8,
    batches_per_pass: int = 500,
    seed: int = 0,
    metrics: Metrics | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measurement:
    """The published protocol, on a copy of the model.

    Args:
        step: Model and how it is fed; left as it is.
        loader: Test batches, shuffled anew in each pass.
        device: Where to compute.
        weights: Loss factors of the fitting.
        learning_rate: Of both optimisers, constant.
        passes: The last one covers every sample and is reported, measured before each update.
        batches_per_pass: The passes before it stop after this many batches plus one.
        seed: Of the latent noise.
        metrics: What else to measure.
        progress: Called with (passes begun, passes in all).
    """
    copied = _trainable_copy(step)
    parameters = (copied.model.encoder_parameters(), copied.model.colour_parameters())
    optimisers = [torch.optim.Adam([p for p in group if p.requires_grad], lr=learning_rate) for group in parameters]
    recorder = SampleRows(len(loader.index), device)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for number in range(passes):
            loader.set_epoch(number)
            if progress is not None:
                progress(number + 1, passes)
            if number < passes - 1:
                fit(copied, loader, device, optimisers, weights, batches_per_pass + 1)
            else:
                _last_pass(copied, loader, device, optimisers, weights, metrics or Metrics(), recorder)
    return Measurement.of(recorder.table())


def _trainable_copy(step: Step) -> Step:
    """A copy whose encoder and colour correction alone receive gradients."""
    model = copy.deepcopy(step.model)
    fitted = {id(p) for p in (*model.encoder_parameters(), *model.colour_parameters())}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in fitted)
    model.eval()
    return Step(model, step.normalisation, step.topology, step.camera_table, step.screen)


def _last_pass(
    step: Step,
    loader: BatchLoader,
    device: torch.device,
    optimisers: list[torch.optim.Adam],
    weights: losses.LossWeights,
    metrics: Metrics,
    recorder: SampleRows,
) -> None:
    for batch, samples in measured_batches(loader, device):
        prediction = step.predict(batch, sample=True, render=True)
        recorder.add(metrics.of(step, prediction), samples)
        apply_update(losses.total_loss(step.terms(prediction), weights), optimisers)
