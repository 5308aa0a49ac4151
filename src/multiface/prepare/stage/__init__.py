"""The virtual stage: a procedural head, or a person's own, filmed by a calibrated rig, written as a capture."""

from multiface.prepare.stage.config import StageConfig
from multiface.prepare.stage.studio import Filmed, Stage, build_stage, write_capture

__all__ = ["Filmed", "Stage", "StageConfig", "build_stage", "write_capture"]
