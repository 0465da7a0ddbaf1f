"""Contents of a file besides the pixels of its first frame: other frames, alpha, depth, a video."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import PIL.Image
from PIL.ExifTags import Base

from lookalike.imaging.boxes import boxes, find_boxes
from lookalike.imaging.gif import count_frames
from lookalike.imaging.tiff import TiffReader, first_page, page_numbers
from lookalike.types import FileFacts

_MP_ENTRIES = 0xB002
_MP_ENTRY_SIZE = 16
_PREVIEWS = 0x10001, 0x10002
"""Types of pictures in a multi-picture JPEG that are smaller versions of the first one."""

_VIDEO_BRANDS = {b"mp41", b"mp42", b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"avc1", b"qt  "}
_VIDEO_BRANDS |= {b"M4V ", b"MSNV", b"3gp4", b"3gp5", b"3gp6", b"hvc1", b"mmp4", b"dash"}
_MAX_BRANDS_SIZE = 1024
"""Size up to which a box that starts a video is plausible."""

_END_OF_IMAGE = b"\xff\xd9"


def facts_of(
    data: bytes, format: str, loaded: PIL.Image.Image, *, alpha: bool, camera_metadata: bool
) -> FileFacts:
    """The facts of a file.

    Args:
        data: its content.
        format: as `formats.image_format` tells it.
        loaded: its first frame.
        alpha: whether a pixel of it is not opaque.
        camera_metadata: whether the EXIF names a camera or an exposure.
    """
    return FileFacts(
        frames=len(frame_numbers(data, format, loaded)),
        alpha=alpha,
        bit_depth=bit_depth_of(data, format, loaded),
        camera_metadata=camera_metadata,
        motion=video_start(data, format) is not None,
    )


def frame_numbers(data: bytes, format: str, loaded: PIL.Image.Image) -> Sequence[int]:
    """The numbers by which Pillow knows the frames that count, of which there is at least one. A
    file may have fewer than it says."""
    match format:
        case "TIFF":  # Pillow would parse every page
            return page_numbers(first_page(data))
        case "GIF":
            return range(count_frames(data))
        case "JPEG":
            return _picture_numbers(loaded.info)
    return range(max(int(getattr(loaded, "n_frames", 1)), 1))


def _picture_numbers(info: Mapping[Any, Any]) -> Sequence[int]:
    """The numbers of the pictures in a JPEG: several in a multi-picture file (CIPA DC-007), such as
    a stereo pair, or a picture with its gain map."""
    index = info.get("mp")
    if not isinstance(index, bytes):
        return (0,)
    reader = TiffReader(index)
    order: Literal["big", "little"] = "big" if index[:2] == b"MM" else "little"
    for directory in reader.pages():
        entries = reader.content(directory, _MP_ENTRIES)
        starts = range(0, len(entries), _MP_ENTRY_SIZE)
        kinds = [int.from_bytes(entries[at : at + 4], order) & 0xFFFFFF for at in starts]
        return [i for i, kind in enumerate(kinds) if kind not in _PREVIEWS or i == 0] or (0,)
    return (0,)


def bit_depth_of(data: bytes, format: str, loaded: PIL.Image.Image) -> int:
    """Bits of the deepest channel; fewer than 8 count as 8."""
    depths: list[Any] = []
    match format:
        case "PNG":
            depths = [data[24]] if len(data) > 24 else []
        case "TIFF":
            depths = list(getattr(loaded, "tag_v2", {}).get(Base.BitsPerSample, ()))
        case "HEIF":
            depths = [loaded.info.get("bit_depth", 8)]
        case "AVIF":
            depths = [
                _depth_of_av1(data[box.start + 2])
                for box in find_boxes(data, b"meta", b"iprp", b"ipco", b"av1C")
                if box.start + 2 < len(data)
            ]
    return max(8, *(depth for depth in depths if isinstance(depth, int) and depth <= 64), 8)


def _depth_of_av1(flags: int) -> int:
    """The depth that the flags of an AV1 configuration record tell."""
    high_bit_depth, twelve_bit = flags & 0x40, flags & 0x20
    return (12 if twelve_bit else 10) if high_bit_depth else 8


def video_start(data: bytes, format: str) -> int | None:
    """Returns where the video of a motion photo begins; None without one."""
    if format in ("HEIF", "AVIF"):
        for i, box in enumerate(boxes(data)):
            if box.kind == b"mpvd" or (box.kind == b"ftyp" and i):
                return box.start
    elif format == "JPEG" and not data.endswith(_END_OF_IMAGE):
        position = data.find(b"ftyp")
        while position >= 4:
            size = int.from_bytes(data[position - 4 : position], "big")
            if data[position + 4 : position + 8] in _VIDEO_BRANDS and size <= _MAX_BRANDS_SIZE:
                return position - 4
            position = data.find(b"ftyp", position + 4)
    return None
