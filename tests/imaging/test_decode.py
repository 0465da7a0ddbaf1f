"""Formats, alpha, frames, shrinking and limits of the decoder."""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import pytest

from lookalike.errors import Reason
from lookalike.imaging.decode import DecodeDeferred, decode
from lookalike.types import DecodeLimits
from tests.imaging.samples import (
    FORMATS,
    LOSSLESS,
    assert_near,
    encode,
    photo,
    picture,
    rejection,
)


@pytest.mark.parametrize("format", FORMATS)
def test_format(format: str) -> None:
    data = encode(picture(), format, **FORMATS[format])
    image = decode(data)
    assert (image.format, image.width, image.height) == (format, 96, 64)
    assert image.bytes == len(data)
    assert image.alpha is None
    assert image.taken_at is None
    assert_near(image.pixels, np.asarray(picture()), 0 if format in LOSSLESS else 4)


def test_mpo_is_a_jpeg() -> None:
    data = encode(picture(), "MPO", save_all=True, append_images=[photo(96, 64)], quality=95)
    assert decode(data).format == "JPEG"
    assert_near(decode(data).pixels, np.asarray(picture()), 4)


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_hidden_color_is_white(format: str) -> None:
    pixels = np.full((64, 64, 4), (255, 0, 0, 0), np.uint8)
    pixels[:32] = (0, 0, 255, 255)
    image = decode(encode(PIL.Image.fromarray(pixels), format, **FORMATS[format]))
    assert_near(image.pixels[40:], np.full((24, 64, 3), 255, np.uint8), 1)
    assert_near(image.pixels[:24], np.full((24, 64, 3), (0, 0, 255), np.uint8), 4)
    assert image.alpha is not None
    assert_near(image.alpha, pixels[:, :, 3], 1)


@pytest.mark.parametrize("mode", ["LA", "PA", "RGBA"])
def test_alpha_of_every_mode(mode: str) -> None:
    im = PIL.Image.new("RGBA", (3, 1), (200, 200, 200, 0))
    im.putpixel((0, 0), (100, 100, 100, 255))
    im.putpixel((1, 0), (100, 100, 100, 51))
    im = im.convert("P").convert("PA") if mode == "PA" else im.convert(mode)
    image = decode(encode(im, "TIFF"))
    assert image.alpha is not None
    assert image.alpha.tolist() == [[255, 51, 0]]
    assert_near(image.pixels[0, :, 0], np.array([100, 224, 255], np.uint8), 1)


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_transparent_palette_entry(format: str) -> None:
    im = picture().quantize(4)
    corner = im.getpixel((0, 0))
    image = decode(encode(im, format, transparency=corner))
    assert image.alpha is not None
    assert image.alpha[0].tolist() == [0] * 48 + [255] * 48
    assert tuple(image.pixels[0, 0]) == (255, 255, 255)
    assert tuple(image.pixels[0, 95]) == (0, 255, 0)


@pytest.mark.parametrize(("mode", "key"), [("1", 1), ("L", 10), ("RGB", (9, 8, 7))])
def test_transparent_color_key(mode: str, key: Any) -> None:
    im = PIL.Image.new(mode, (2, 1), key)
    im.putpixel((1, 0), 0 if mode != "RGB" else (0, 0, 0))
    image = decode(encode(im, "PNG", transparency=key))
    assert image.alpha is not None
    assert image.alpha.tolist() == [[0, 255]]
    assert image.pixels[0].tolist() == [[255] * 3, [0] * 3]


def test_opaque_alpha_is_none() -> None:
    image = decode(encode(picture().convert("RGBA"), "PNG"))
    assert image.alpha is None
    assert np.array_equal(image.pixels, np.asarray(picture()))


def test_shrinking_does_not_mix_in_hidden_color() -> None:
    pixels = np.full((1024, 1024, 4), (255, 0, 0, 0), np.uint8)
    pixels[::2, ::2] = pixels[1::2, 1::2] = (0, 0, 255, 255)
    image = decode(encode(PIL.Image.fromarray(pixels), "PNG"))
    assert image.pixels.shape == (256, 256, 3)
    assert_near(image.pixels, np.full((256, 256, 3), (127, 127, 255), np.uint8), 2)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_only(format: str) -> None:
    frames = [PIL.Image.new("RGB", (64, 64), color) for color in ("red", "lime", "blue")]
    data = encode(frames[0], format, save_all=True, append_images=frames[1:])
    assert_near(decode(data).pixels, np.full((64, 64, 3), (255, 0, 0), np.uint8), 3)


def test_small_photo_is_left_alone() -> None:
    data = encode(photo(511, 400), "JPEG")
    with PIL.Image.open(BytesIO(data)) as im:
        assert np.array_equal(decode(data, side=256).pixels, np.asarray(im))


@pytest.mark.parametrize("side", [64, 256, 500])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_large_photo_is_shrunk_by_a_whole_factor(format: str, side: int) -> None:
    image = decode(large_photo(format), side=side)
    rows, columns, _ = image.pixels.shape
    assert side <= min(rows, columns) < 2 * side
    assert (image.width, image.height) == (4000, 3000)
    factor = next(n for n in range(1, 3000) if (-(-3000 // n), -(-4000 // n)) == (rows, columns))
    whole = (3000 // factor, 4000 // factor)  # blocks; the last ones may be smaller
    with PIL.Image.open(BytesIO(large_photo(format))) as im:
        box = (0, 0, whole[1] * factor, whole[0] * factor)
        expected = im.resize(whole[::-1], PIL.Image.Resampling.BOX, box)
    assert_near(image.pixels[: whole[0], : whole[1]], np.asarray(expected), 2)


@cache
def large_photo(format: str) -> bytes:
    """12 Mpx."""
    options = {"compress_level": 1} if format == "PNG" else {}
    return encode(photo(800, 600).resize((4000, 3000)), format, **options)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_mode_shrinks(mode: str) -> None:
    im = PIL.Image.new(mode, (1100, 600), 0 if mode in ("1", "L", "P", "I;16", "I", "F") else None)
    image = decode(encode(im, "TIFF"), side=100)
    assert image.pixels.shape == (100, 184, 3)


def test_empty_and_unknown() -> None:
    assert rejection(b"").reason == Reason.EMPTY
    assert rejection(b"<svg/>").reason == Reason.UNSUPPORTED_FORMAT
    eps = encode(picture(), "EPS")  # Pillow can read it with Ghostscript
    assert rejection(eps).reason == Reason.UNSUPPORTED_FORMAT
    assert rejection(encode(picture(), "ICO")).reason == Reason.UNSUPPORTED_FORMAT
    assert rejection(encode(picture(), "JPEG2000")).reason == Reason.UNSUPPORTED_FORMAT


@pytest.mark.parametrize("format", FORMATS)
def test_limits_can_be_set(format: str) -> None:
    data = encode(picture(96, 64), format)
    sizes: list[int] = []
    for limits, reason in (
        (DecodeLimits(pixels=96 * 64 - 1), Reason.TOO_LARGE),
        (DecodeLimits(pixels=10), Reason.TOO_LARGE),
        (DecodeLimits(bytes=len(data) - 1), Reason.TOO_LARGE),
        (DecodeLimits(aspect=1.4), Reason.EXTREME_ASPECT),
    ):
        assert rejection(data, limits=limits, before_load=sizes.append).reason == reason
    assert not sizes  # nothing was decoded
    just = DecodeLimits(pixels=96 * 64, bytes=len(data), aspect=1.5)
    decode(data, limits=just, before_load=sizes.append)
    assert sizes == [96 * 64]


def test_limit_above_pillows_own() -> None:
    """Pillow alone refuses 179 Mpx and more."""
    data = encode(PIL.Image.new("1", (15000, 12000)), "PNG")
    before = PIL.Image.MAX_IMAGE_PIXELS
    assert rejection(data).reason == Reason.TOO_LARGE
    sizes: list[int] = []

    def stop(pixels: int) -> None:
        sizes.append(pixels)
        raise MemoryError

    assert (
        rejection(data, limits=DecodeLimits(pixels=10**9), before_load=stop).reason
        == Reason.TOO_LARGE
    )
    assert sizes == [180_000_000]
    assert before == PIL.Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "HEIF", "AVIF"])
def test_truncated(format: str) -> None:
    data = encode(photo(200, 150), format)
    assert rejection(data[: len(data) * 2 // 3]).reason == Reason.TRUNCATED


def test_before_load_is_given_the_pixels_in_memory() -> None:
    sizes: list[int] = []
    decode(encode(photo(2400, 1600), "JPEG"), side=200, before_load=sizes.append)
    decode(encode(photo(2400, 1600), "JPEG", progressive=True), before_load=sizes.append)
    assert sizes == [300 * 200, 2400 * 1600]


def test_a_picture_can_be_deferred() -> None:
    def defer(pixels: int) -> None:
        raise DecodeDeferred

    with pytest.raises(DecodeDeferred):
        decode(encode(photo(200, 150), "JPEG"), before_load=defer)
