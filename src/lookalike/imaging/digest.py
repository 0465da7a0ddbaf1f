"""A digest of everything that a file shows: all pages and frames, alpha, every bit of a channel.

Two files with one digest hold the same pictures, whatever their formats and metadata. Durations of
frames do not count. Frames are digested one by one, so memory holds no more than one.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from PIL.ExifTags import Base

from lookalike.imaging.bit_depth import to_8_bits
from lookalike.imaging.boxes import find_boxes
from lookalike.imaging.camera_raw import check_pixels
from lookalike.imaging.codecs import codec_errors, load_plugin, pillow_settings
from lookalike.imaging.color_space import changes_colors
from lookalike.imaging.contents import bit_depth_of, frame_numbers, video_start
from lookalike.imaging.exif import read_exif, turn_upright
from lookalike.imaging.formats import CAMERA_RAW, check_not_truncated, image_format
from lookalike.imaging.gif import MAX_FRAMES
from lookalike.imaging.tiff import MAX_DIRECTORIES, TiffReader, first_page
from lookalike.types import DecodeLimits

_SHARE_OF_TIME = 0.8
"""Share of the time limit after which it is given up, rather than being killed."""

_STRIP_PIXELS = 2**20
_LAYERS = 37724
_ALPHA_AUXILIARY = b"auxid:1", b"auxiliary:alpha"

_CANONICAL = {"L": "RGB", "YCbCr": "RGB", "LA": "RGBA", "La": "RGBA", "RGBa": "RGBA"}
"""Modes that differ only in how they store the same colors, and the mode that stands for them."""


def content_digest(
    data: bytes,
    *,
    limits: DecodeLimits,
    before_load: Callable[[int], object] = lambda pixels: None,
) -> str:
    """Digests a file. Arguments and errors are those of `decode.decode`.

    Returns:
        Hexadecimal digits; empty if they cannot be told: in time, or because a codec shows less
        than the file holds.
    """
    format = image_format(data)
    if format is None or format == CAMERA_RAW or _holds_more(data, format):
        return ""
    check_not_truncated(data, format)
    late = time.monotonic() + _SHARE_OF_TIME * limits.seconds
    digest = hashlib.sha256()
    with codec_errors(format, limits), pillow_settings(limits.pixels):
        load_plugin(format)
        file = BytesIO(first_page(data) if format == "TIFF" else data)
        with PIL.Image.open(file, formats=[format]) as stored:
            depth = bit_depth_of(data, format, stored)
            numbers = frame_numbers(data, format, stored)
            if len(numbers) >= min(MAX_FRAMES, MAX_DIRECTORIES):
                return ""
            for number in numbers:
                stored.seek(number)
                check_pixels(*stored.size, limits)
                before_load(stored.width * stored.height)
                stored.load()
                if not _add(digest.update, stored, depth) or time.monotonic() > late:
                    return ""
    start = video_start(data, format)
    digest.update(b"" if start is None else memoryview(data)[start:])
    return digest.hexdigest()


def _holds_more(data: bytes, format: str) -> bool:
    """Tells whether a file holds pictures that its codec does not show: layers, depth maps."""
    if format == "TIFF":
        return any(_LAYERS in page.entries for page in TiffReader(data).pages())
    if format in ("HEIF", "AVIF"):
        for box in find_boxes(data, b"meta", b"iprp", b"ipco", b"auxC"):
            if not data[box.start : box.end].rstrip(b"\0").endswith(_ALPHA_AUXILIARY):
                return True
    return False


def _add(update: Callable[[Any], object], loaded: PIL.Image.Image, depth: int) -> bool:
    """Adds a frame to a digest by its `update`; returns False if Pillow alters its values."""
    deep = loaded.mode[0] in "IF"
    if deep != (depth > 8):  # Pillow shows 16-bit colors in 8 bits
        return False
    if deep and ("transparency" in loaded.info or _white_is_zero(loaded)):
        return False
    im = turn_upright(loaded if deep else _canonical(loaded), read_exif(loaded).orientation)
    mode = "deep" if deep else im.mode
    update(f"{mode} {depth} {im.width}x{im.height};".encode())
    profile = loaded.info.get("icc_profile")
    if profile and changes_colors(profile):
        update(profile)
    for strip in _strips(im):
        update(strip)
    return True


def _white_is_zero(loaded: PIL.Image.Image) -> bool:
    return getattr(loaded, "tag_v2", {}).get(Base.PhotometricInterpretation) == 0


def _canonical(im: PIL.Image.Image) -> PIL.Image.Image:
    """Returns an 8-bit picture in the mode that stands for all that show the same; without alpha if
    it is opaque."""
    im = to_8_bits(im)
    mode = _CANONICAL.get(im.mode, im.mode)
    im = im if im.mode == mode else im.convert(mode)
    opaque = mode == "RGBA" and im.getchannel("A").getextrema() == (255, 255)
    return im.convert("RGB") if opaque else im


def _strips(im: PIL.Image.Image) -> Iterator[NDArray[Any]]:
    """Yields the values of some rows at a time, in little-endian order."""
    rows = max(1, _STRIP_PIXELS // im.width)
    for top in range(0, im.height, rows):
        values = np.asarray(im.crop((0, top, im.width, min(top + rows, im.height))))
        yield np.ascontiguousarray(values.astype(values.dtype.newbyteorder("<"), copy=False))
