"""Pictures for the decoder's tests, in every format."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import PIL.Image
import pillow_heif
import pytest
from numpy.typing import NDArray

from lookalike.errors import ImageRejected
from lookalike.imaging.decode import decode

pillow_heif.register_heif_opener()  # to write HEIC files


def encode(im: PIL.Image.Image, format: str, **options: Any) -> bytes:
    file = BytesIO()
    im.save(file, format, **options)
    return file.getvalue()


def picture(width: int = 96, height: int = 64) -> PIL.Image.Image:
    """Red, green, blue and gray quarters: every rotation and mirroring changes it."""
    pixels = np.full((height, width, 3), 128, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return PIL.Image.fromarray(pixels)


def photo(width: int, height: int) -> PIL.Image.Image:
    """Smooth colors that differ everywhere."""
    y, x = np.mgrid[0:height, 0:width]
    waves = [127 + 120 * np.sin(x / 37 + k) * np.cos(y / 23 - k) for k in range(3)]
    return PIL.Image.fromarray(np.stack(waves, axis=-1).astype(np.uint8))


def assert_near(a: NDArray[np.uint8], b: NDArray[np.uint8], tolerance: float) -> None:
    assert a.shape == b.shape
    assert np.abs(a.astype(float) - b.astype(float)).mean() <= tolerance


def rejection(data: bytes, **options: Any) -> ImageRejected:
    """Decodes a file that must be refused."""
    with pytest.raises(ImageRejected) as caught:
        decode(data, **options)
    return caught.value


LOSSLESS: dict[str, dict[str, Any]] = {
    "PNG": {},
    "WEBP": {"lossless": True},
    "GIF": {},
    "BMP": {},
    "TIFF": {},
}


LOSSY: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95},
    "AVIF": {"quality": 95},
    "HEIF": {"quality": 95},
}


FORMATS = LOSSLESS | LOSSY
