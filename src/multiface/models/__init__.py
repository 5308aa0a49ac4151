"""The networks: building, running, saving and loading them. They know nothing of captures or of rendering."""

from multiface.models.architecture import ARCHITECTURES, TEXTURE_SIZES
from multiface.models.build import build_model
from multiface.models.checkpoint import check_matches, load_model, load_state, save_model
from multiface.models.fast_decoder import FastDecoder, fast_decoder
from multiface.models.info import ModelInfo
from multiface.models.model import FaceModel, kl_divergence
from multiface.models.output import Decoded, Output
from multiface.models.published import save_published

__all__ = [
    "ARCHITECTURES",
    "TEXTURE_SIZES",
    "Decoded",
    "FaceModel",
    "FastDecoder",
    "ModelInfo",
    "Output",
    "build_model",
    "check_matches",
    "fast_decoder",
    "kl_divergence",
    "load_model",
    "load_state",
    "save_model",
    "save_published",
]
