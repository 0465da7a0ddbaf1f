"""Pictures to try a descriptor with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.types import Image, Pixels

_TOLERANCE = 2e-3
"""Largest difference, as a share of the length, between the vectors of an image alone and in a
batch. Rounding on a GPU stays below 1e-3; a model that is quantized by batch is at 1e-2 or more."""


def depends_on_batch(describe: Callable[[Sequence[Image]], NDArray[np.float32]], side: int) -> bool:
    """Tells if the vector of an image depends on the batch it is described in, or on chance."""
    images = probes(side)
    together = describe(images)
    return any(
        np.linalg.norm(describe([image])[0] - row) > _TOLERANCE * np.linalg.norm(row)
        for image, row in zip(images, together, strict=True)
    )


def probes(side: int) -> list[Image]:
    """Two pictures that differ in every way, and in their shapes."""
    return [_bright(side, side + 7), _dark(side + 32, side)]


def _bright(height: int, width: int) -> Image:
    """A picture of bright noise."""
    pixels = np.random.default_rng(0).integers(128, 256, (height, width, 3))
    return _image(pixels.astype(np.uint8))


def _dark(height: int, width: int) -> Image:
    """A dark gradient of one hue."""
    ramp = np.linspace(0, 80, height)[:, None, None] * np.array([1.0, 0.5, 0.1])
    return _image(np.broadcast_to(ramp, (height, width, 3)).astype(np.uint8))


def _image(pixels: Pixels) -> Image:
    height, width, _ = pixels.shape
    return Image(pixels, None, width, height, "PNG", "0" * 64, pixels.nbytes, None)
