"""The networks: building, running, saving and loading them. They know nothing of captures or of rendering."""

from multiface.models.architecture import ARCHITECTURES, TEXTURE_SIZES
from multiface.models.build import build_model
from multiface.models.info import ModelInfo
from multiface.models.model import FaceModel, kl_divergence
from multiface.models.output import Decoded, Output

__all__ = [
    "ARCHITECTURES",
    "TEXTURE_SIZES",
    "Decoded",
    "FaceModel",
    "ModelInfo",
    "Output",
    "build_model",
    "kl_divergence",
]
