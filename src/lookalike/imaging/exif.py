"""EXIF: the orientation of a picture, when and where it was taken, and whether by a camera."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime
from io import BytesIO
from typing import Any, NamedTuple

import PIL.Image
from PIL.ExifTags import GPS, IFD, Base
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

_CAMERA = {Base.Make, Base.Model}
_EXPOSURE = {Base.ExposureTime, Base.FNumber, Base.ISOSpeedRatings}


class ExifFacts(NamedTuple):
    """Values read from the EXIF.

    Attributes:
        orientation: what must still be corrected.
        taken_at: the time the picture was taken.
        gps: latitude and longitude in degrees.
        camera: whether a camera or an exposure is named.
    """

    orientation: int = _UPRIGHT
    taken_at: str | None = None
    gps: tuple[float, float] | None = None
    camera: bool = False


def read_exif(loaded: PIL.Image.Image) -> ExifFacts:
    """Reads the EXIF of a picture.

    Call it after `load`: Pillow turns a TIFF upright while loading it, pillow_heif does so too, and
    both report orientation 1 from then on.
    """
    with suppress(Exception):  # malformed EXIF is no reason to refuse the picture
        return _facts(loaded.getexif())
    return ExifFacts()


def read_tiff_exif(data: bytes) -> ExifFacts:
    """Reads the EXIF in the directories of a TIFF, or of a camera raw that is built like one."""
    exif = PIL.Image.Exif()
    with suppress(Exception):
        exif.load_from_fp(BytesIO(data))
    return _facts(exif)


def _facts(exif: PIL.Image.Exif) -> ExifFacts:
    facts = ExifFacts()
    if not exif:
        return facts
    with suppress(Exception):  # what was read before the malformed part stays
        stored = exif.get(Base.Orientation)
        facts = facts._replace(orientation=stored if stored in _CORRECTIONS else _UPRIGHT)
        facts = facts._replace(camera=_CAMERA & exif.keys() != set())
        details = exif.get_ifd(IFD.Exif)
        camera = facts.camera or _EXPOSURE & details.keys() != set()
        facts = facts._replace(taken_at=_taken_at(details), camera=camera)
        facts = facts._replace(gps=_place(exif.get_ifd(IFD.GPSInfo)))
    return facts


def checked_place(latitude: float, longitude: float) -> tuple[float, float] | None:
    """A place in degrees; None if it is not on Earth, or is 0, 0, which cameras write that do not
    know where they are."""
    on_earth = abs(latitude) <= 90 and abs(longitude) <= 180
    return (latitude, longitude) if on_earth and (latitude or longitude) else None


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


def _place(exif: dict[int, object]) -> tuple[float, float] | None:
    """Converts EXIF's degrees, minutes and seconds with a letter for the direction."""
    if not {GPS.GPSLatitude, GPS.GPSLongitude} <= exif.keys():
        return None
    return checked_place(
        _degrees(exif[GPS.GPSLatitude], exif.get(GPS.GPSLatitudeRef), "S"),
        _degrees(exif[GPS.GPSLongitude], exif.get(GPS.GPSLongitudeRef), "W"),
    )


def _degrees(parts: Any, direction: object, negative: str) -> float:
    degrees = sum(float(part) / (1, 60, 3600)[i] for i, part in enumerate(parts))
    letter = str(direction or "").strip("\0 ").upper()
    return round(-degrees if letter.startswith(negative) else degrees, 7)
