"""Validation during training."""

from __future__ import annotations

import copy

import torch

from multiface import losses
from multiface.data import BatchLoader
from multiface.train.measure import fit, mean_terms
from multiface.train.step import Step


def validate(
    step: Step,
    loader: BatchLoader,
    device: torch.device,
    weights: losses.LossWeights,
    *,
    batches: int,
    mode: str,
    colour_optimiser: torch.optim.Optimizer,
    learning_rate: float,
) -> dict[str, float]:
    """Sample-weighted mean losses on the test set.

    Args:
        step: The model being trained and its settings.
        loader: Test batches.
        device: Where to compute.
        weights: Loss factors, for the fitting modes.
        batches: Batches used at most, plus one as published.
        mode: ``"frozen"`` fits nothing. ``"adapt-copy"`` first fits the colour correction of a copy to the test cameras.
            ``"published"`` fits the model's own with the training's optimiser, which training then goes on with.
        colour_optimiser: The training's optimiser of the colour correction.
        learning_rate: For the copy's own optimiser.
    """
    limit = batches + 1
    measured = step
    # Noise drawn in here must not change the training that follows.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if mode == "adapt-copy":
            model = copy.deepcopy(step.model)
            measured = Step(model, step.normalisation, step.topology, step.camera_table, step.screen)
            colour = [p for p in model.colour_parameters() if p.requires_grad]
            fit(measured, loader, device, [torch.optim.Adam(colour, lr=learning_rate)], weights, limit)
        elif mode == "published":
            fit(step, loader, device, [colour_optimiser], weights, limit)
        mean = mean_terms(measured, loader, device, render=weights.screen > 0, limit=limit)
    step.model.train()
    return mean.means()
