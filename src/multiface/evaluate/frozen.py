"""*frozen*: nothing is fitted and the latent code is its mean. This is the model's real error on frames it never saw."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import torch

from multiface.data import Batch, BatchLoader, DevicePrefetcher, Sample
from multiface.evaluate.measurement import Measurement
from multiface.evaluate.samples import SampleRows
from multiface.evaluate.values import Metrics
from multiface.train.recording import RecordedWork, Recorder, record_cuda_graph
from multiface.train.step import Prediction, Step

Pictures = Callable[[int, Prediction, Batch], None]
Progress = Callable[[int, int], None]
Measured = tuple[Prediction, dict[str, torch.Tensor], dict[str, torch.Tensor]]


@torch.no_grad()
def frozen(
    step: Step,
    loader: BatchLoader,
    device: torch.device,
    *,
    metrics: Metrics | None = None,
    pictures: Pictures | None = None,
    progress: Progress | None = None,
    record: Recorder | None = None,
) -> tuple[Measurement, Measurement]:
    """Measure with nothing fitted and the latent mean.

    On a CUDA device what is done with a batch is recorded and repeated: launching hundreds of operations for each, one by one,
    takes longer than they do.

    Args:
        step: Model and how it is fed.
        loader: Test batches.
        device: Where to compute.
        metrics: What else to measure.
        pictures: Called with the number of the batch, the prediction and the batch.
        progress: Called with (samples measured, samples in all).
        record: How the work on a batch is recorded; as a CUDA graph on a CUDA device, not at all elsewhere when absent.

    Returns:
        The measurement, and that of the mean mesh and mean texture predicted for every frame: the level to beat.
    """
    metrics = metrics or Metrics()
    step.model.eval()
    found, level = (SampleRows(len(loader.index), device) for _ in range(2))

    def measure(batch: Batch, _: torch.Tensor) -> Measured:
        prediction = step.predict(batch, sample=False, render=True)
        return prediction, metrics.of(step, prediction), metrics.of_the_mean(step, prediction)

    if record is None and device.type == "cuda":
        record = record_cuda_graph
    work = measure if record is None else RecordedWork(measure, measure, record)
    nothing, done = torch.zeros(0, device=device), 0
    for number, (batch, samples) in enumerate(measured_batches(loader, device)):
        prediction, values, values_of_the_mean = work(batch, nothing)
        found.add(values, samples)
        level.add(values_of_the_mean, samples)
        done += len(samples)
        if pictures is not None:
            pictures(number, prediction, batch)
        if progress is not None:
            progress(done, len(loader.index))
    return Measurement.of(found.table()), Measurement.of(level.table())


def measured_batches(loader: BatchLoader, device: torch.device) -> Iterator[tuple[Batch, tuple[Sample, ...]]]:
    """The batches on ``device``, read and copied ahead, with their samples."""
    with closing(DevicePrefetcher(loader, device).shares()) as shares:
        for share in shares:
            if share.batch is not None:
                yield share.batch, share.samples
