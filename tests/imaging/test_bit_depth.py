"""Pictures of 1, 12, 16 and 32 bits a channel."""

from __future__ import annotations

import struct

import numpy as np
import PIL.Image
import pytest

from lookalike.imaging.decode import decode
from tests.imaging.samples import encode


def test_bilevel() -> None:
    im = PIL.Image.fromarray(np.eye(40, dtype=bool))
    assert np.array_equal(decode(encode(im, "PNG")).pixels[:, :, 1], np.eye(40) * 255)


def test_16_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.arange(0, 65536, 16).astype(np.uint16).reshape(64, 64)
    expected = np.rint(ramp / 257)
    for format in ("PNG", "TIFF"):
        image = decode(encode(PIL.Image.fromarray(ramp), format))
        assert np.array_equal(image.pixels[:, :, 0], expected)


@pytest.mark.parametrize(
    ("dtype", "values", "expected"),
    [
        (np.float32, [0, 0.5, 1], [0, 128, 255]),
        (np.float32, [0, 100, 255], [0, 100, 255]),
        (np.float32, [0, 25700, 65535], [0, 100, 255]),
        (np.float32, [-1, 0, 1], [0, 128, 255]),
        (np.float32, [5e6, 6e6, 7e6], [0, 128, 255]),
        (np.float32, [np.nan, 0.5, np.inf], [0, 128, 0]),
        (np.float32, [np.nan, -3, -2], [0, 0, 255]),
        (np.float32, [np.nan, np.nan, np.nan], [0, 0, 0]),
        (np.float32, [3e38, 3e38, 3e38], [0, 0, 0]),
        (np.int32, [0, 100, 255], [0, 100, 255]),
        (np.int32, [0, 25700, 65535], [0, 100, 255]),
        (np.int32, [-1000, 0, 1000], [0, 128, 255]),
        (np.int32, [0, 10**9, 2 * 10**9], [0, 128, 255]),
    ],
)
def test_32_bits(dtype: type, values: list[float], expected: list[int]) -> None:
    image = decode(encode(PIL.Image.fromarray(np.array([values], dtype)), "TIFF"))
    assert image.pixels[0, :, 0].tolist() == expected


def tiff(bits: int, photometric: int, strip: bytes) -> bytes:
    """Two gray pixels in a form that Pillow cannot write."""
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 122, 277: 1, 278: 1}
    tags[279] = len(strip)
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return struct.pack("<2sHIH", b"II", 42, 8, len(tags)) + entries + b"\0" * 4 + strip


def test_12_bits_and_white_is_zero() -> None:
    assert decode(tiff(12, 1, b"\xff\xf8\x00")).pixels[0, :, 0].tolist() == [255, 128]
    assert decode(tiff(16, 0, b"\0\0\xff\xff")).pixels[0, :, 0].tolist() == [255, 0]
