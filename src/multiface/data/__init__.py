"""Batches for training and testing: sample lists, camera splits, normalisation and loading."""

from multiface.data.batch import Batch
from multiface.data.camera_split import CameraSplit, derive_camera_split, load_camera_split, split_path
from multiface.data.index import Sample, SampleIndex, Skipped, build_index, require_samples
from multiface.data.loader import BatchLoader, Share
from multiface.data.normalisation import MissingRule, Normalisation, resize_texture
from multiface.data.prefetch import DevicePrefetcher
from multiface.data.test_segments import DEFAULT_TEST_SEGMENTS, check_test_segments, read_test_segments

__all__ = [
    "DEFAULT_TEST_SEGMENTS",
    "Batch",
    "BatchLoader",
    "CameraSplit",
    "DevicePrefetcher",
    "MissingRule",
    "Normalisation",
    "Sample",
    "SampleIndex",
    "Share",
    "Skipped",
    "build_index",
    "check_test_segments",
    "derive_camera_split",
    "load_camera_split",
    "read_test_segments",
    "require_samples",
    "resize_texture",
    "split_path",
]
