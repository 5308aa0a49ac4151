"""Who stands on the stage: proportions and colouring drawn from a seed."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, fields

import numpy as np


@dataclass(frozen=True)
class Identity:
    """Proportions (factors around 1, or millimetres) and colouring (0..1) of one procedural head.

    The defaults are the average head; :func:`sample_identity` stays within a few percent of adult anthropometry.
    """

    face_width: float = 1.0  # breadth of skull and cheeks
    jaw_width: float = 1.0  # breadth at the jaw relative to the skull
    nose_length: float = 1.0  # how far the tip stands out
    nose_width: float = 1.0  # distance between the wings
    lip_fullness: float = 1.0  # height and bulge of the red of the lips
    mouth_width: float = 25.5  # mm, midline to corner
    eye_distance: float = 31.5  # mm, midline to pupil
    eye_opening: float = 1.0  # height of the lid aperture
    eye_tilt: float = 1.8  # mm, how much higher the outer corner lies
    brow_height: float = 0.0  # mm, added to the height of the brows
    brow_ridge: float = 1.0  # strength of the ridge under the brows
    cheekbone: float = 1.0  # prominence of the cheekbones
    chin: float = 1.0  # prominence of the chin
    ear_size: float = 1.0
    melanin: float = 0.25  # skin, 0 pale .. 1 dark
    blush: float = 0.5  # red of cheeks, nose and ears
    stubble: float = 0.4  # shadow of the beard
    freckles: float = 0.3
    hair_tone: float = 0.3  # brows and cropped hair, 0 black .. 1 blond
    iris_hue: float = 0.4  # 0 brown .. 0.5 green .. 1 blue


_RANGES = {
    "face_width": (0.94, 1.06),
    "jaw_width": (0.90, 1.07),
    "nose_length": (0.88, 1.1),
    "nose_width": (0.88, 1.18),
    "lip_fullness": (0.78, 1.25),
    "mouth_width": (24.0, 27.0),
    "eye_distance": (30.5, 32.5),
    "eye_opening": (0.92, 1.08),
    "eye_tilt": (0.8, 2.6),
    "brow_height": (-1.0, 1.5),
    "brow_ridge": (0.5, 1.4),
    "cheekbone": (0.6, 1.4),
    "chin": (0.6, 1.4),
    "ear_size": (0.94, 1.08),
    "melanin": (0.0, 0.95),
    "blush": (0.3, 0.8),
    "stubble": (0.0, 0.8),
    "freckles": (0.0, 0.8),
    "hair_tone": (0.0, 0.62),
    "iris_hue": (0.0, 1.0),
}


def random_stream(seed: int, purpose: str) -> np.random.Generator:
    """A generator that depends on ``seed`` and ``purpose`` alone, so that adding one use does not shift the others."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32(purpose.encode("utf-8"))]))


def sample_identity(seed: int) -> Identity:
    """The person that belongs to ``seed``: each trait is drawn towards the middle of its range."""
    rng = random_stream(seed, "identity")
    traits = {}
    for field in fields(Identity):
        low, high = _RANGES[field.name]
        traits[field.name] = low + (high - low) * float(rng.beta(1.6, 1.6))
    return Identity(**traits)
