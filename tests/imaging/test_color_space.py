"""ICC profiles, CMYK, CIELAB and gray, converted to sRGB."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from PIL import ImageCms

from lookalike.imaging.decode import decode
from tests.imaging.samples import FORMATS, assert_near, encode, photo, picture


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def swapped_profile() -> bytes:
    """sRGB with the primaries of red and blue exchanged."""
    profile = srgb_profile()
    return profile.replace(b"rXYZ", b"????").replace(b"bXYZ", b"rXYZ").replace(b"????", b"bXYZ")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_profile_is_converted_to_srgb(format: str) -> None:
    data = encode(picture(), format, icc_profile=swapped_profile(), **FORMATS[format])
    assert_near(decode(data).pixels, np.asarray(picture())[:, :, ::-1], 4)


def test_profile_survives_alpha_and_palette() -> None:
    clear = picture().convert("RGBA")
    clear.putpixel((0, 0), (9, 9, 9, 0))
    for im in (clear, picture().convert("P")):
        image = decode(encode(im, "PNG", icc_profile=swapped_profile()))
        assert tuple(image.pixels[5, 5]) == (0, 0, 255)


def nearly_srgb_profile() -> bytes:
    """sRGB with a slightly different green, as rounding by profile makers leaves it."""
    profile = bytearray(srgb_profile())
    entry = profile.index(b"gXYZ")
    x = int.from_bytes(profile[entry + 4 : entry + 8], "big") + 8
    profile[x : x + 4] = (int.from_bytes(profile[x : x + 4], "big") + 10).to_bytes(4, "big")
    return bytes(profile)


@pytest.mark.parametrize(
    "profile", [srgb_profile(), nearly_srgb_profile(), b"nonsense" * 40, swapped_profile()[:300]]
)
def test_srgb_and_broken_profiles_change_nothing(profile: bytes) -> None:
    colors = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3), axis=-1).reshape(18, -1, 3)
    im = PIL.Image.fromarray(colors.astype(np.uint8))
    tagged = decode(encode(im, "PNG", icc_profile=profile))
    assert np.array_equal(tagged.pixels, colors)


def test_grey_with_an_rgb_profile_stays_grey() -> None:
    image = decode(encode(photo(300, 200).convert("L"), "JPEG", icc_profile=swapped_profile()))
    assert_near(image.pixels[:, :, 0], image.pixels[:, :, 2], 1)


def test_profile_that_does_not_fit_is_ignored() -> None:
    im = PIL.Image.new("CMYK", (32, 32), (0, 255, 255, 0))
    image = decode(encode(im, "TIFF", icc_profile=swapped_profile()))
    assert tuple(image.pixels[0, 0]) == (255, 0, 0)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk(format: str) -> None:
    image = decode(encode(PIL.Image.new("CMYK", (32, 32), (0, 255, 255, 0)), format))
    assert_near(image.pixels, np.full((32, 32, 3), (255, 0, 0), np.uint8), 2)


@pytest.mark.parametrize("size", [32, 1024])
def test_lab(size: int) -> None:
    """CIELAB (54, 81, 70) under D50 is sRGB's red."""
    image = decode(encode(PIL.Image.new("LAB", (size, size), (138, 209, 198)), "TIFF"))
    assert_near(image.pixels[:9, :9], np.full((9, 9, 3), (255, 0, 0), np.uint8), 5)
