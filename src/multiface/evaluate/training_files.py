"""Files to train with, so that a model sees nothing of what a protocol tests."""

from __future__ import annotations

from typing import Any

from multiface.capture import Capture
from multiface.core.errors import CaptureError
from multiface.data.test_segments import DEFAULT_TEST_SEGMENTS
from multiface.evaluate.resolve import TestSet


def training_files(test_set: TestSet, capture: Capture) -> dict[str, dict[str, Any]]:
    """``camera-split.json`` and ``test-segments.json`` by name, as ``multiface train`` reads them.

    Cameras that the protocol wants unseen are in none of the roles for training and validation, so the checkpoint does not
    know them; segments that it wants unseen are test segments. What it does not want unseen stays as usual.

    Raises:
        CaptureError: nothing would be left to train on.
    """
    held_out = set(test_set.cameras) if "cameras" in test_set.protocol.unseen else set()
    having = [name for name in capture.cameras if any(capture.has_texture(key, name) for key in capture.frames)]
    seen = [name for name in having if name not in held_out]
    segments = list(DEFAULT_TEST_SEGMENTS)
    if "segments" in test_set.protocol.unseen:
        segments = list(dict.fromkeys(key.segment for key in test_set.frames))
    if not seen:
        raise CaptureError("the protocol holds out every camera", where=capture.path, found=", ".join(having))
    visual = (sorted(held_out & set(having)) or seen)[:2]
    split = {"full": {"train": seen, "test": seen, "visual": visual}}
    return {"camera-split.json": split, "test-segments.json": {"segment": segments}}
