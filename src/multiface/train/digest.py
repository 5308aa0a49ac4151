"""Whether all processes, and all parts of a resumed run, mean the same training."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import torch

from multiface import __version__
from multiface.core.errors import ArgumentError
from multiface.data import SampleIndex
from multiface.geometry import Topology

# Where and how a process runs, not what it trains: may differ between processes.
LOCAL_OPTIONS = {
    "data_dir", "krt_dir", "framelist_test", "framelist_train", "test_segment_config", "camera_config", "loss_weight_mask",
    "model_ckpt", "result_path", "resume", "device", "local_rank", "json", "n_worker", "cache_gb", "overwrite",
    "reading_processes",
}  # fmt: skip


def digests(
    options: Mapping[str, Any],
    training: SampleIndex,
    test: SampleIndex | None,
    statistics: Mapping[str, torch.Tensor],
    topology: Topology,
    weight: torch.Tensor | None,
) -> dict[str, str]:
    """A short text for every part of a training that must be the same everywhere; equal texts, equal parts."""
    return {
        "version of multiface": __version__,
        **{f"--{name}": json.dumps(value) for name, value in sorted(options.items()) if name not in LOCAL_OPTIONS},
        "training samples": _of_index(training),
        "test samples": "none" if test is None else _of_index(test),
        "statistics": _of_bytes(*(statistics[name].cpu().numpy().tobytes() for name in sorted(statistics))),
        "topology": _of_bytes(topology.faces.tobytes(), topology.uvs.tobytes(), topology.uv_faces.tobytes()),
        "weight image": "none" if weight is None else _of_bytes(weight.cpu().numpy().tobytes()),
    }


def check_alike(all_digests: list[dict[str, str]]) -> None:
    """Refuse processes that would train on different things.

    Args:
        all_digests: Of every process, by rank.

    Raises:
        ArgumentError: naming the parts that differ and who has them.
    """
    first = all_digests[0]
    for rank, theirs in enumerate(all_digests):
        different = differences(first, theirs)
        if different:
            raise ArgumentError(
                "the processes of the job do not see the same training",
                expected="the same capture and options everywhere",
                found="; ".join(f"{name}: {one} on process 0, {other} on process {rank}" for name, one, other in different[:5]),
                remedy="Give every machine the same options and a whole copy of the capture",
            )


def differences(one: Mapping[str, str], other: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Names of the parts that differ, with both texts."""
    return [
        (name, one.get(name, "none"), other.get(name, "none")) for name in {**one, **other} if one.get(name) != other.get(name)
    ]


def _of_index(index: SampleIndex) -> str:
    text = "\n".join(map(str, index.samples))
    return f"{len(index)} samples {_of_bytes(text.encode())}"


def _of_bytes(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()[:12]
