"""How a model is measured on held-out samples.

*frozen*: nothing is fitted, the latent code is its mean. This is the model's real error on unseen frames.
*adapted*: the published protocol. Encoder and colour correction are fitted to the test frames, with ground truth and latent
noise, for several passes; the last one is reported. It makes numbers comparable to the published table and is not a
held-out error.
*mean*: the capture's mean mesh and mean texture predicted for every frame, the level that any model has to beat.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch

from multiface import losses
from multiface.data import Batch, BatchLoader
from multiface.evaluate.metrics import masked_psnr, masked_ssim, mesh_error_mm
from multiface.train.measure import SampleMean, apply_update, fit
from multiface.train.step import Prediction, Step

Pictures = Callable[[int, Prediction, Batch], None]
KEYS = ("tex", "tex_denorm", "mesh", "mesh_mm", "screen", "psnr", "ssim")


@dataclass
class Measurement:
    """Means over all samples of a test set, each sample counting once.

    Attributes:
        samples: Number of (frame, camera) pairs.
        values: ``tex`` (normalised), ``tex_denorm`` (squared error in 0..255), ``mesh`` (normalised), ``mesh_mm`` (mean
            distance, mm), and with photos ``screen`` (published unit), ``psnr`` (dB) and ``ssim`` inside the rendered mask.
    """

    samples: int
    values: dict[str, float]

    def to_json(self) -> dict[str, float | None]:
        """All keys, None where there was nothing to measure."""
        return {key: self.values.get(key) for key in KEYS}


def frozen(step: Step, loader: BatchLoader, device: torch.device, *, pictures: Pictures | None = None) -> Measurement:
    """Measure with nothing fitted and the latent mean."""
    step.model.eval()
    mean = SampleMean()
    with torch.no_grad():
        for number, batch in enumerate(loader):
            prediction = step.predict(batch.to(device), sample=False, render=True)
            mean.add(sample_values(step, prediction), len(batch))
            if pictures is not None:
                pictures(number, prediction, batch)
    return Measurement(mean.samples, mean.means())


def mean_prediction(step: Step, loader: BatchLoader, device: torch.device) -> Measurement:
    """Measure the mean mesh and the mean texture as if they were predictions (mesh and texture only)."""
    mean = SampleMean()
    for batch in loader:
        batch = batch.to(device)
        normalisation = step.normalisation
        if batch.texture is None:
            continue
        target, mask = normalisation.normalise_texture(batch.texture)
        vertices = normalisation.normalise_vertices(batch.vertices)[batch.frame_of_view]
        prediction = Prediction(
            texture=torch.zeros_like(target),
            target_texture=target,
            mask=mask,
            vertices=torch.zeros_like(vertices),
            target_vertices=vertices,
            kl=target.new_zeros(()),
            latent_mean=target.new_zeros(len(batch), 1),
        )
        mean.add(sample_values(step, prediction), len(batch))
    return Measurement(mean.samples, mean.means())


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
        progress: Called with (passes begun, passes in all).
    """
    copied = _trainable_copy(step)
    parameters = (copied.model.encoder_parameters(), copied.model.colour_parameters())
    optimisers = [torch.optim.Adam([p for p in group if p.requires_grad], lr=learning_rate) for group in parameters]
    mean = SampleMean()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for number in range(passes):
            loader.set_epoch(number)
            if progress is not None:
                progress(number + 1, passes)
            if number < passes - 1:
                fit(copied, loader, device, optimisers, weights, batches_per_pass + 1)
            else:
                _last_pass(copied, loader, device, optimisers, weights, mean)
    return Measurement(mean.samples, mean.means())


def _trainable_copy(step: Step) -> Step:
    """A copy whose encoder and colour correction alone receive gradients."""
    model = copy.deepcopy(step.model)
    fitted = {id(p) for p in (*model.encoder_parameters(), *model.colour_parameters())}
    for parameter in model.parameters():
        parameter.requires_grad_(parameter.requires_grad and id(parameter) in fitted)
    model.eval()
    return Step(model, step.normalisation, step.topology, step.camera_table, step.screen)


def _last_pass(step: Step, loader, device, optimisers, weights: losses.LossWeights, mean: SampleMean) -> None:
    for batch in loader:
        prediction = step.predict(batch.to(device), sample=True, render=True)
        with torch.no_grad():
            mean.add(sample_values(step, prediction), len(batch))
        apply_update(losses.total_loss(step.terms(prediction), weights), optimisers)


@torch.no_grad()
def sample_values(step: Step, prediction: Prediction) -> dict[str, torch.Tensor]:
    """Every metric of a prediction: a scalar is the mean over its samples, (B,) one value per sample (NaN: nothing to see)."""
    normalisation = step.normalisation
    terms = step.terms(prediction)
    shown, true = map(normalisation.denormalise_vertices, (prediction.vertices, prediction.target_vertices))
    values = {"mesh": terms["verts"], "mesh_mm": mesh_error_mm(shown, true)}
    if prediction.target_texture is not None:
        values["tex"] = terms["tex"]
        values["tex_denorm"] = terms["tex"] * normalisation.tex_std**2
    if prediction.image is not None and prediction.photo is not None and prediction.covered is not None:
        # As a picture file would hold it: predictions are not clamped in the losses.
        image, photo = prediction.image.clamp(0, 1) * 255.0, prediction.photo * 255.0
        values["screen"] = terms["screen"]
        values["psnr"] = masked_psnr(image, photo, prediction.covered)
        values["ssim"] = masked_ssim(image, photo, prediction.covered)
    return values
