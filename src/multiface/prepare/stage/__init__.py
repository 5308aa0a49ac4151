"""The virtual stage: a procedural head, or a person's own, filmed by a calibrated rig, written as a capture.

Names are imported on first use, so that the options (:class:`StageConfig`) can be shown without the renderer.
"""

from typing import TYPE_CHECKING

from multiface.core.lazy import lazy_names

if TYPE_CHECKING:
    from multiface.prepare.stage.config import StageConfig
    from multiface.prepare.stage.studio import Filmed, Stage, build_stage, write_capture

__all__ = ["Filmed", "Stage", "StageConfig", "build_stage", "write_capture"]

_CONFIG, _STUDIO = "multiface.prepare.stage.config", "multiface.prepare.stage.studio"
__getattr__ = lazy_names(
    __name__, {"StageConfig": _CONFIG, "Filmed": _STUDIO, "Stage": _STUDIO, "build_stage": _STUDIO, "write_capture": _STUDIO}
)
