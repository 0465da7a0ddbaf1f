"""EXIF: orientation, and when and where a picture was taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
from PIL.ExifTags import GPS, IFD, Base
from PIL.Image import Transpose

from lookalike.imaging.decode import decode
from tests.imaging.samples import FORMATS, assert_near, encode, picture

# The transformation of an upright picture in a file of each orientation: EXIF 2.32, tag 274.
STORED = {
    1: None,
    2: Transpose.FLIP_LEFT_RIGHT,
    3: Transpose.ROTATE_180,
    4: Transpose.FLIP_TOP_BOTTOM,
    5: Transpose.TRANSPOSE,
    6: Transpose.ROTATE_90,
    7: Transpose.TRANSVERSE,
    8: Transpose.ROTATE_270,
}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
@pytest.mark.parametrize("orientation", STORED)
def test_orientation_is_applied_once(format: str, orientation: int) -> None:
    turn = STORED[orientation]
    stored = picture() if turn is None else picture().transpose(turn)
    exif = PIL.Image.Exif()
    exif[Base.Orientation] = orientation
    image = decode(encode(stored, format, exif=exif.tobytes(), **FORMATS[format]))
    assert (image.width, image.height) == (96, 64)
    assert_near(image.pixels, np.asarray(picture()), 4)


def test_heif_is_turned_by_its_container_alone() -> None:
    """ISO/IEC 23008-12: the orientation in EXIF is for information only."""
    exif = PIL.Image.Exif()
    exif[Base.Orientation] = 6
    data = encode(picture(), "HEIF", exif=exif, quality=95)
    assert b"irot" not in data
    assert_near(decode(data).pixels, np.asarray(picture()), 4)


def test_orientation_of_real_photos(data: Path) -> None:
    """The same scene, stored upside down and on its side."""
    down, side = (
        decode((data / "evil" / "files" / f"exif_orientation_{n}.jpg").read_bytes()) for n in (3, 8)
    )
    assert_near(down.pixels, side.pixels, 3)


@pytest.mark.parametrize(
    ("stamp", "offset", "taken_at"),
    [
        ("2024:05:01 10:20:30", None, "2024-05-01T10:20:30Z"),
        ("2024:05:01 10:20:30", "+02:00", "2024-05-01T10:20:30+02:00"),
        ("2024:05:01 10:20:30", "nonsense", "2024-05-01T10:20:30Z"),
        ("0000:00:00 00:00:00", None, None),
        ("2024:05:01", None, None),
        ("    :  :     :  :  ", "+02:00", None),
        (None, "+02:00", None),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "HEIF"])
def test_taken_at(format: str, stamp: str | None, offset: str | None, taken_at: str | None) -> None:
    exif = PIL.Image.Exif()
    exif[Base.Make] = "Camera"
    tags = {Base.DateTimeOriginal: stamp, Base.OffsetTimeOriginal: offset}
    exif.get_ifd(IFD.Exif).update({tag: value for tag, value in tags.items() if value})
    assert decode(encode(picture(), format, exif=exif.tobytes())).taken_at == taken_at


@pytest.mark.parametrize(
    ("latitude", "north", "longitude", "east", "gps"),
    [
        ((48, 51, 30.24), "N", (2, 17, 40.2), "E", (48.8584, 2.2945)),
        ((33, 51.6, 0), "S", (151, 12.6, 0), "E", (-33.86, 151.21)),
        ((0, 0, 36), "s", (179.5, 0, 0), "w", (-0.01, -179.5)),
        ((0, 0, 0), "N", (0, 0, 0), "E", None),
        ((91, 0, 0), "N", (0, 0, 0), "E", None),
        ((1, 0, 0), "N", (181, 0, 0), "E", None),
        ((1, 2, 3, 4), "N", (2, 0, 0), "E", None),
        (None, None, (2, 0, 0), "E", None),
    ],
)
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "HEIF"])
def test_gps(
    format: str, latitude: Any, north: str | None, longitude: Any, east: str | None, gps: Any
) -> None:
    exif = PIL.Image.Exif()
    exif[Base.Make] = "Camera"
    tags = {
        GPS.GPSLatitudeRef: north,
        GPS.GPSLatitude: latitude,
        GPS.GPSLongitudeRef: east,
        GPS.GPSLongitude: longitude,
    }
    exif.get_ifd(IFD.GPSInfo).update({tag: one for tag, one in tags.items() if one is not None})
    exif.get_ifd(IFD.Exif)[Base.DateTimeOriginal] = "2024:05:01 10:20:30"
    image = decode(encode(picture(), format, exif=exif.tobytes()))
    assert image.gps == (gps and pytest.approx(gps))
    assert image.taken_at == "2024-05-01T10:20:30Z"


def test_garbage_in_exif_is_no_reason_to_refuse() -> None:
    image = decode(encode(picture(), "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff rubbish"))
    assert image.taken_at is None
