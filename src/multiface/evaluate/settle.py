"""What a test measures, settled from options and a protocol before any model is opened."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from multiface.capture import FrameKey, read_frame_list
from multiface.core.errors import ArgumentError
from multiface.data import build_index, check_test_segments, require_samples
from multiface.data.test_segments import starts_with_any
from multiface.evaluate.protocol import ADAPTED_OPTIONS, REPORTS, Protocol, Selection, digest_of, load_protocol
from multiface.evaluate.resolve import TestSet, resolve, samples_digest
from multiface.train.config import TestConfig
from multiface.train.setup import DataSetup, choose_picture_size, open_data, read_weight

FROM_OPTIONS = "options"
"""Name of the protocol of a test that was described by options alone."""

_SAY_WHAT = ("test_segment_config", "framelist_test", "camera_config", "camera_setting")


@dataclass(frozen=True)
class TestPlan:
    """A test of any model on a capture.

    Attributes:
        config: Options, with what the protocol settles in place.
        data: The capture.
        test_set: The exact samples.
        reports: Which reports to make.
        changes: Options that differ from the protocol.
        notes: What the user should know.
    """

    __test__ = False

    config: TestConfig
    data: DataSetup
    test_set: TestSet
    reports: tuple[str, ...]
    changes: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def label(self) -> str:
        """Name of the protocol with what is missing from it and what was changed: for the title of every table."""
        return self.test_set.label + (f", CHANGED: {', '.join(self.changes)}" if self.changes else "")


def plan_test(config: TestConfig, given: frozenset[str] | None = None) -> TestPlan:
    """Open the capture and settle the samples, the reports and the options of a test.

    Args:
        config: Options.
        given: Names of the options that the user gave; those that differ from their defaults when absent.

    Raises:
        MultifaceError: no such protocol, or the capture does not have what it names.
    """
    given = _different(config) if given is None else given
    protocol = None if config.protocol is None else load_protocol(config.protocol)
    changes: tuple[str, ...] = ()
    if protocol is not None:
        config, changes = _settled(config, protocol, given)
    data = open_data(config, photos=False)
    if protocol is None:
        test_set = _from_options(data)
    else:
        test_set = resolve(protocol, data.capture, allow_missing=config.allow_missing)
    if test_set.with_photos:
        size = choose_picture_size(data.capture, config.resolution)
        data = replace(data, picture_size=size, weight=read_weight(data.capture, config.loss_weight_mask))
    reports = test_set.protocol.reports if config.report == "both" else (config.report,)
    if reports == ("frozen",):  # every file is read once: keeping it would only fill memory
        data = replace(data, options=replace(config, cache_gb=0.0))
    return TestPlan(config, data, test_set, reports, changes, tuple(_notes(test_set, data)))


def _settled(config: TestConfig, protocol: Protocol, given: frozenset[str]) -> tuple[TestConfig, tuple[str, ...]]:
    """The options with the protocol's values, except for what the user gave; and what of that differs."""
    doubly = [f"--{name}" for name in _SAY_WHAT if name in given]
    if doubly:
        raise ArgumentError(
            f"protocol {protocol.name} says itself which frames and cameras are tested",
            found=", ".join(doubly),
            remedy="Leave these options out, or leave out --protocol",
        )
    wanted: dict[str, object] = dict(protocol.adapted)
    if protocol.resolution is not None:
        wanted["resolution"] = protocol.resolution
    changes = [
        f"{name} {getattr(config, name)} instead of {value}"
        for name, value in wanted.items()
        if name in given and getattr(config, name) != value
    ]
    if config.interpolation != "affine":
        changes.append(f"{config.interpolation} interpolation")
    if "report" in given and config.report not in ("both", *protocol.reports):
        changes.append(f"{config.report} report")
    taken = {name: value for name, value in wanted.items() if name not in given}
    return replace(config, **taken), tuple(changes)  # type: ignore[arg-type]


def _from_options(data: DataSetup) -> TestSet:
    """The test that options describe: test segments of the frame list, over the cameras of the split."""
    options, capture = data.options, data.capture
    listed = capture.frames if options.framelist_test is None else read_frame_list(options.framelist_test)
    check_test_segments(data.prefixes, [key.segment for key in listed], where=options.test_segment_config or capture.path)
    frames = tuple(dict.fromkeys(FrameKey(*key) for key in listed if starts_with_any(key.segment, data.prefixes)))
    index = build_index(capture, frames, data.split.test)
    with_photos = any(capture.has_photo(*sample) for sample in index.samples)
    if with_photos:
        index = build_index(capture, frames, data.split.test, need_photo=True)
    index = require_samples(index, "testing", prefixes=data.prefixes)
    absent = tuple(entry for entry in index.skipped if entry.what.count("/") == 1)
    there = set(index.cameras)
    return TestSet(
        protocol=_described(options, data),  # type: ignore[arg-type]
        index=index,
        frames=frames,
        cameras=data.split.test,
        absent_segments=(),
        absent_cameras=tuple(name for name in data.split.test if name not in there),
        absent_frames=absent,
        absent_pairs=len(index.skipped) - len(absent),
        with_photos=with_photos,
        digest=samples_digest(index.samples),
    )


def _described(config: TestConfig, data: DataSetup) -> Protocol:
    """A protocol file's content for what options describe."""
    content = {
        "format": 1,
        "name": FROM_OPTIONS,
        "about": "Test segments and cameras as options (or their defaults) say.",
        "anyone": {"segments": {"prefixes": list(data.prefixes)}, "cameras": list(data.split.test)},
        "pairs": "existing",
        "adapted": {name: getattr(config, name) for name in ADAPTED_OPTIONS},
    }
    return Protocol(
        name=FROM_OPTIONS,
        version=1,
        about=content["about"],
        people={},
        anyone=Selection({"prefixes": list(data.prefixes)}, "all", list(data.split.test)),
        pairs="existing",
        reports=REPORTS,
        adapted=content["adapted"],
        digest=digest_of(content),
        content=content,
    )


def _notes(test_set: TestSet, data: DataSetup) -> list[str]:
    notes = []
    if not test_set.with_photos:
        some = any(data.capture.has_photo(*sample) for sample in test_set.index.samples)
        why = "not every sample has a photo" if some else "the capture has no photos of them"
        why = "the protocol compares none" if test_set.protocol.pictures == "none" else why
        notes.append(f"no pictures are compared ({why}): no screen error, PSNR or SSIM; texture PSNR stands in")
    skipped = test_set.index.skipped
    if skipped:
        first = skipped[0]
        notes.append(f"left out: {len(skipped)} frames or views ({test_set.index.skipped_summary()}), first {first.what}")
    return notes


def _different(config: TestConfig) -> frozenset[str]:
    defaults = type(config)()
    return frozenset(f.name for f in fields(config) if getattr(config, f.name) != getattr(defaults, f.name))
