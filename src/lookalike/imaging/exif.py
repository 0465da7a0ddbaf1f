"""EXIF: the orientation of a picture, and when it was taken."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

import PIL.Image
from PIL.ExifTags import IFD, Base
from PIL.Image import Transpose

from lookalike.system.times import format_datetime

_UPRIGHT = 1
_CORRECTIONS = {
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_270,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_90,
}


def read_exif(loaded: PIL.Image.Image) -> tuple[int, str | None]:
    """Returns the orientation that must still be corrected and the time the picture was taken.

    Call it after `load`: Pillow turns a TIFF upright while loading it, pillow_heif does so too, and
    both report orientation 1 from then on.
    """
    orientation, taken_at = _UPRIGHT, None
    with suppress(Exception):  # malformed EXIF is no reason to refuse the picture
        exif = loaded.getexif()
        stored = exif.get(Base.Orientation)
        orientation = stored if stored in _CORRECTIONS else _UPRIGHT
        taken_at = _taken_at(exif.get_ifd(IFD.Exif))
    return orientation, taken_at


def turn_upright(im: PIL.Image.Image, orientation: int) -> PIL.Image.Image:
    """Applies the rotation or mirroring that the orientation asks for."""
    return im.transpose(_CORRECTIONS[orientation]) if orientation in _CORRECTIONS else im


def swaps_sides(orientation: int) -> bool:
    """Tells whether turning the picture upright exchanges its width and height."""
    return orientation >= 5


def _taken_at(exif: dict[int, object]) -> str | None:
    """Converts EXIF's "2024:05:01 10:00:00" to RFC 3339, in UTC where there is no offset, which
    cameras rarely record."""
    stamp = str(exif.get(Base.DateTimeOriginal, "")).strip("\0 ")
    offset = str(exif.get(Base.OffsetTimeOriginal, "")).strip("\0 ")
    if len(stamp) != len("2024:05:01 10:00:00"):
        return None
    try:
        taken = datetime.fromisoformat(stamp.replace(":", "-", 2))
    except ValueError:
        return None
    with suppress(ValueError):  # a malformed offset counts as none
        taken = datetime.fromisoformat(f"{taken.isoformat()}{offset}")
    return format_datetime(taken)
