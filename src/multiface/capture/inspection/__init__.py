"""Inspection of a capture: content, gaps, and everything that is missing or broken."""

from multiface.capture.inspection.inspect import find_gaps, inspect_capture
from multiface.capture.inspection.report import Gap, InspectionReport, Problem, SegmentSummary

__all__ = ["Gap", "InspectionReport", "Problem", "SegmentSummary", "find_gaps", "inspect_capture"]
