"""Packing captures into stores (docs/packing.md)."""

from multiface.prepare.pack.run import PackReport, pack_capture
from multiface.prepare.pack.settings import PackPlan, PackSettings, make_plan

__all__ = ["PackPlan", "PackReport", "PackSettings", "make_plan", "pack_capture"]
