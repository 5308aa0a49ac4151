"""Validation during training."""

from __future__ import annotations

import copy

import torch

from multiface import losses
from multiface.data import BatchLoader
from multiface.train.distributed import ALONE, Group
from multiface.train.measure import SampleMean, fit, mean_terms
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
    group: Group = ALONE,
    whole: BatchLoader | None = None,
) -> dict[str, float]:
    """Sample-weighted mean losses on the test set.

    Args:
        step: The model being trained and its settings.
        loader: Test batches; with several processes this one's, every ``world_size``-th.
        device: Where to compute.
        weights: Loss factors, for the fitting modes.
        batches: Batches used at most, plus one as published.
        mode: ``"frozen"`` fits nothing. ``"adapt-copy"`` first fits the colour correction of a copy to the test cameras.
            ``"published"`` fits the model's own with the training's optimiser, which training then goes on with.
        colour_optimiser: The training's optimiser of the colour correction.
        learning_rate: For the copy's own optimiser.
        group: The processes that measure together.
        whole: All test batches, for the fitting modes, in which every process fits to the same ones; ``loader`` by default.
    """
    limit = batches + 1
    whole = loader if whole is None else whole
    measured = step
    # Noise drawn in here must not change the training that follows.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        if mode == "adapt-copy":
            model = copy.deepcopy(step.model)
            measured = Step(model, step.normalisation, step.topology, step.camera_table, step.screen)
            colour = [p for p in model.colour_parameters() if p.requires_grad]
            fit(measured, whole, device, [torch.optim.Adam(colour, lr=learning_rate)], weights, limit)
        elif mode == "published":
            fit(step, whole, device, [colour_optimiser], weights, limit)
            group.share_first(_tensors(colour_optimiser))  # GPUs do not add in one order: these must not drift apart
        mine = len(range(group.rank, limit, group.world_size))
        mean = mean_terms(measured, loader, device, render=weights.screen > 0, limit=mine)
    step.model.train()
    return SampleMean.together(group.gather(mean)).means()


def _tensors(optimiser: torch.optim.Optimizer) -> list[torch.Tensor]:
    """Its parameters, and its moments on their device."""
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    moments = [m for p in parameters for m in optimiser.state.get(p, {}).values() if isinstance(m, torch.Tensor)]
    return [*(p.detach() for p in parameters), *moments]
