"""Thumbnails: small JPEGs without metadata."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import PIL.Image
import pytest
from PIL.ExifTags import Base

from lookalike.imaging.decode import decode
from lookalike.imaging.thumbnails import encode_thumbnail, thumbnail_of
from lookalike.types import Image
from tests.imaging.samples import assert_near, encode, photo


def test_thumbnail() -> None:
    exif = PIL.Image.Exif()
    exif[Base.Artist] = "somebody"
    image: Image = decode(encode(photo(600, 400), "JPEG", exif=exif, comment=b"secret"))
    with PIL.Image.open(BytesIO(encode_thumbnail(image.pixels, 150))) as im:
        assert (im.format, im.mode, im.size) == ("JPEG", "RGB", (150, 100))
        assert set(im.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        expected = photo(600, 400).resize((150, 100), PIL.Image.Resampling.BOX)
        assert_near(np.asarray(im), np.asarray(expected), 4)


def test_a_small_jpeg_is_its_own_thumbnail() -> None:
    data = encode(photo(330, 220), "JPEG")
    assert thumbnail_of(decode(data), data, 320) == data


def exif_of(artist: str) -> PIL.Image.Exif:
    exif = PIL.Image.Exif()
    exif[Base.Artist] = artist
    return exif


@pytest.mark.parametrize(
    "data",
    [
        encode(photo(330, 220), "JPEG", exif=exif_of("secret")),
        encode(photo(330, 220), "JPEG", comment=b"secret"),
        encode(photo(330, 220), "JPEG", icc_profile=b"secret" * 30),
        encode(photo(330, 220), "JPEG") + b"secret",
        encode(photo(330, 220), "JPEG", progressive=True, comment=b"secret"),
        encode(photo(330, 220).convert("CMYK"), "JPEG", comment=b"secret"),
        encode(photo(900, 600), "JPEG", comment=b"secret"),
        encode(photo(330, 220), "PNG"),
    ],
    ids=["exif", "comment", "icc", "tail", "progressive", "cmyk", "large", "png"],
)
def test_a_thumbnail_holds_nothing_but_the_picture(data: bytes) -> None:
    made = thumbnail_of(decode(data), data, 320)
    assert b"secret" not in made
    with PIL.Image.open(BytesIO(made)) as im:
        assert im.mode == "RGB"
        assert max(im.size) <= 330
        assert set(im.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
