"""Camera raw: recognized by structure, developed by LibRaw through the optional package rawpy."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from PIL.ExifTags import Base

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.boxes import boxes
from lookalike.imaging.codecs import DecodeDeferred
from lookalike.imaging.tiff import Directory, TiffReader
from lookalike.types import DecodeLimits, Pixels

INSTALL = "camera raw needs an extra: pip install 'lookalike[raw]'"

_SIGNATURES = (
    b"FUJIFILMCCD-RAW",  # RAF
    b"IIRO",  # ORF
    b"IIRS",
    b"MMOR",
    b"IIU\0",  # RW2
    b"FOVb",  # X3F
    b"\0MRM",  # MRW
)
_TIFF = b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"
_LIKE_TIFF = (*_TIFF, b"IIRO", b"IIRS", b"MMOR")

_CFA, _LINEAR_RAW = 32803, 34892
"""Photometric interpretations of a sensor's data."""
_COMPRESSIONS = {32767, 32769, 32770, 32772, 34713, 65000, 65024, 65535}
"""Compressions that only cameras use: Sony, Epson, Samsung, Nikon, Kodak, Pentax."""
_DNG_VERSION = 50706
_STRIPS, _TILES = (273, 279), (324, 325)
"""Tags of where the data of a picture begins, and of how many bytes it has."""

_MIN_PREVIEW = 0.5
"""Length of a preview's longer side, as a share of the sensor's, from which on it is used."""

_ORIENTATIONS = {3: 3, 5: 8, 6: 6}
"""EXIF orientations by LibRaw's `flip`."""


class RawPicture(NamedTuple):
    """A developed camera raw.

    Attributes:
        width, height: full size in pixels, upright.
        bit_depth: of the sensor.
        jpeg: the embedded preview, where it is large enough.
        orientation: the correction that the decoded preview still needs, as in EXIF.
        pixels: the picture without such a preview, upright, perhaps in half its size.
    """

    width: int
    height: int
    bit_depth: int
    jpeg: bytes = b""
    orientation: int = 1
    pixels: Pixels | None = None


def is_camera_raw(data: bytes) -> bool:
    """Tells whether a file is a camera raw, by its structure."""
    if data.startswith(_SIGNATURES) or data[6:14] == b"HEAPCCDR":  # CRW
        return True
    if data[4:8] == b"ftyp":
        return data[8:12] == b"crx "
    if not data.startswith(_TIFF):
        return False
    if data[:4] == b"II*\0" and data[8:10] == b"CR":
        return True
    reader = TiffReader(data)
    return any(_is_raw(reader, directory) for directory in _directories(reader))


def _is_raw(reader: TiffReader, directory: Directory) -> bool:
    meaning = reader.integers(directory, Base.PhotometricInterpretation)
    compression = reader.integers(directory, Base.Compression)
    return (
        _DNG_VERSION in directory.entries
        or meaning[:1] in ((_CFA,), (_LINEAR_RAW,))
        or bool(_COMPRESSIONS & set(compression[:1]))
    )


def _directories(reader: TiffReader) -> Iterator[Directory]:
    """Yields the directories of a file down to the second level below its chain."""
    for page in reader.pages():
        yield page
        for child in reader.below(page):
            yield child
            yield from reader.below(child)


def stated_size(raw: bytes) -> int:
    """The length that a camera raw must have to hold all of its pictures; 0 if it does not say."""
    if raw[4:8] == b"ftyp":
        return max((box.end for box in boxes(raw) if box.kind in (b"moov", b"mdat")), default=0)
    if raw.startswith(b"FUJIFILMCCD-RAW"):
        return max(_word(raw, at) + _word(raw, at + 4) for at in (84, 92, 100))
    if not raw.startswith(_LIKE_TIFF):
        return 0
    reader = TiffReader(raw)
    return max(
        (
            start + size
            for directory in _directories(reader)
            for starts, sizes in (_STRIPS, _TILES)
            for start, size in zip(
                reader.integers(directory, starts), reader.integers(directory, sizes), strict=False
            )
        ),
        default=0,
    )


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def develop(
    data: bytes,
    *,
    side: int,
    limits: DecodeLimits,
    before_load: Callable[[int], object],
    previews: bool = True,
) -> RawPicture:
    """Develops a camera raw from its embedded preview if that is large enough, else from the data
    of the sensor. Arguments and errors are those of `decode.decode`; without `previews`, the
    embedded one is not used."""
    try:
        rawpy: Any = importlib.import_module("rawpy")
    except ImportError:
        raise ImageRejected(Reason.CAMERA_RAW, INSTALL) from None
    with _raw_errors(rawpy), rawpy.imread(BytesIO(data)) as raw:
        sizes = raw.sizes
        check_pixels(sizes.width, sizes.height, limits)
        before_load(sizes.width * sizes.height)
        width, height = sizes.width, sizes.height
        if sizes.flip in (5, 6):
            width, height = height, width
        made = RawPicture(width, height, max(8, int(raw.white_level or 0).bit_length()))
        jpeg = _preview(rawpy, raw) if previews else b""
        if orientation := _orientation_of(jpeg, sizes):
            return made._replace(jpeg=jpeg, orientation=orientation)
        half = min(width, height) >= 2 * side
        pixels = raw.postprocess(half_size=half, use_camera_wb=True, output_bps=8)
        return made._replace(pixels=_rgb(pixels))


def _rgb(pixels: Pixels) -> Pixels:
    """Returns pixels with three channels; a sensor without color filters has one."""
    rgb = pixels.reshape(*pixels.shape[:2], -1)
    return np.repeat(rgb, 3, axis=2) if rgb.shape[2] == 1 else rgb[:, :, :3]


def _preview(rawpy: Any, raw: Any) -> bytes:
    """Returns the largest embedded JPEG; empty without one."""
    try:
        preview = raw.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return b""
    return bytes(preview.data) if preview.format == rawpy.ThumbFormat.JPEG else b""


def _orientation_of(preview: bytes, sizes: Any) -> int:
    """Returns the EXIF orientation that a preview needs beyond its own; 0 if it is unusable: not a
    JPEG, or too small.

    Most cameras store previews as the sensor saw them. Those that turn them upright exchange the
    sides, or say so in the EXIF of the preview, which `decode` applies.
    """
    try:
        with PIL.Image.open(BytesIO(preview), formats=["JPEG"]) as stored:
            width, height = stored.size
            own = stored.getexif().get(Base.Orientation)
    except Exception:  # broken: the data of the sensor may still be sound
        return 0
    if max(width, height) < _MIN_PREVIEW * max(sizes.width, sizes.height):
        return 0
    turned = (width > height) != (sizes.width > sizes.height)
    if (own or 1) > 1 or (turned and sizes.flip in (5, 6)) or (own and sizes.flip == 3):
        return 1
    return _ORIENTATIONS.get(sizes.flip, 1)


def check_pixels(width: int, height: int, limits: DecodeLimits) -> None:
    """Checks the size of a picture in pixels.

    Raises:
        ImageRejected: `too_large` or `extreme_aspect`.
    """
    if width * height > limits.pixels:
        raise ImageRejected(Reason.TOO_LARGE, f"more pixels than the limit of {limits.pixels:,}")
    if max(width, height) > limits.aspect * max(min(width, height), 1):
        detail = f"{width} x {height} pixels, beyond {limits.aspect:g}:1"
        raise ImageRejected(Reason.EXTREME_ASPECT, detail)


@contextmanager
def _raw_errors(rawpy: Any) -> Iterator[None]:
    """Turns every exception of LibRaw into an `ImageRejected`."""
    try:
        yield
    except (ImageRejected, DecodeDeferred):
        raise
    except rawpy.LibRawFileUnsupportedError:
        detail = "LibRaw does not know this kind of camera raw"
        raise ImageRejected(Reason.CAMERA_RAW, detail) from None
    except (MemoryError, rawpy.LibRawTooBigError, rawpy.LibRawUnsufficientMemoryError):
        raise ImageRejected(Reason.TOO_LARGE, "not enough memory to develop it") from None
    except rawpy.LibRawIOError:
        raise ImageRejected(Reason.TRUNCATED, "its data ends too early") from None
    except Exception as error:
        detail = f"LibRaw cannot develop it: {' '.join(str(error).split())}"[:120]
        raise ImageRejected(Reason.CORRUPT, detail) from None
