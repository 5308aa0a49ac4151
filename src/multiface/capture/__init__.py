"""The disk: readers and writers of every file of a capture, :class:`Capture`, and inspection. Never imports torch."""

from multiface.capture.audio import read_audio, write_audio
from multiface.capture.capture import Capture
from multiface.capture.frame_list import read_frame_list, write_frame_list
from multiface.capture.head_pose import read_head_pose, write_head_pose
from multiface.capture.image import IMAGE_SUFFIXES, image_size, read_image, write_image
from multiface.capture.inspection import Gap, InspectionReport, Problem, SegmentSummary, inspect_capture
from multiface.capture.krt import PHOTO_SIZE, read_krt, write_krt
from multiface.capture.layout import CaptureLayout
from multiface.capture.names import AVERAGE, FrameKey, frame_order, is_safe_name, segment_kind
from multiface.capture.obj import ObjMesh, read_obj, write_obj
from multiface.capture.statistics import Statistics, read_scalar, read_statistics, write_scalar, write_statistics
from multiface.capture.vertices import read_vertices, write_vertices
from multiface.geometry import Camera, Topology

__all__ = [
    "AVERAGE",
    "IMAGE_SUFFIXES",
    "PHOTO_SIZE",
    "Camera",
    "Capture",
    "CaptureLayout",
    "FrameKey",
    "Gap",
    "InspectionReport",
    "ObjMesh",
    "Problem",
    "SegmentSummary",
    "Statistics",
    "Topology",
    "frame_order",
    "image_size",
    "inspect_capture",
    "is_safe_name",
    "read_audio",
    "read_frame_list",
    "read_head_pose",
    "read_image",
    "read_krt",
    "read_obj",
    "read_scalar",
    "read_statistics",
    "read_vertices",
    "segment_kind",
    "write_audio",
    "write_frame_list",
    "write_head_pose",
    "write_image",
    "write_krt",
    "write_obj",
    "write_scalar",
    "write_statistics",
    "write_vertices",
]
