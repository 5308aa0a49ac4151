"""Sound of the spoken segments."""

from __future__ import annotations

from multiface.capture.audio import read_audio
from multiface.capture.capture import Capture
from multiface.capture.inspection.report import InspectionReport
from multiface.core.errors import CaptureError, FormatError


def check_audio(capture: Capture, report: InspectionReport) -> None:
    """Read every sound; note unreadable ones, those of no segment, and sentences without."""
    folder = capture.layout.sounds
    names = capture.listing.files(folder)
    for name in sorted(names):
        segment = name.removesuffix(".wav")
        if segment == name:
            report.add(folder / name, "unexpected file (sounds are .wav)")
            continue
        if segment not in report.segments:
            report.add(folder / name, "sound of a segment that has no frames in this capture")
        try:
            samples, rate = read_audio(capture.audio(segment) or folder / name)
        except (FormatError, CaptureError) as error:
            report.add(folder / name, error)
            continue
        seconds = len(samples) / rate
        report.audio[segment] = {"seconds": seconds, "rate": rate, "channels": samples.shape[1]}
        if not len(samples):
            report.add(folder / name, "sound is empty")
        if segment in report.details:
            report.details[segment].audio_seconds = seconds
    for segment, summary in report.details.items():
        if names and summary.kind == "SEN" and f"{segment}.wav" not in names:
            report.add(capture.layout.audio(segment), "missing: this spoken segment has no sound")
