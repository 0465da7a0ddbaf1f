"""The perceptual hash: bit for bit that of `imagehash`, which scales with Pillow."""

from __future__ import annotations

from pathlib import Path

import imagehash
import numpy as np
import PIL.Image
import pytest

from lookalike.descriptors.phash import Phash, scale
from lookalike.types import Pixels
from tests.descriptors.samples import (
    NAVY,
    RED,
    WHITE,
    flat,
    image,
    mirrored,
    sample,
    scene,
    stripes,
)


def reference(pixels: Pixels) -> str:
    return str(imagehash.phash(PIL.Image.fromarray(pixels)))


@pytest.mark.parametrize("height", [1, 20, 32, 33, 64, 200, 346, 512, 513])
def test_phash_scales_as_pillow_does(height: int) -> None:
    """A guard: `scale` reproduces Pillow's rounding. On black-and-white noise, most is rounded and
    clipped."""
    noise = np.random.default_rng(height)
    for width in (1, 31, 32, 64, 65, 133, 231, 256, 345, 512, 513):
        black_or_white = noise.integers(0, 2, (height, width), np.uint8) * np.uint8(255)
        grey = PIL.Image.fromarray(black_or_white)
        small = np.asarray(grey.resize((32, 32), PIL.Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(scale(grey), small)


def test_phash_equals_imagehash_on_photos(data: Path) -> None:
    photos = sample(data, 150)
    hashes = [row["phash"] for row in Phash().describe([image(p) for p in photos]).payload]
    assert hashes == [reference(p) for p in photos]


@pytest.mark.parametrize(
    "pixels",
    [
        *(flat(color, *size) for color in (WHITE, (0, 0, 0), RED) for size in ((1, 1), (50, 9))),
        stripes(16, NAVY, WHITE),
        np.concatenate((scene(1), mirrored(scene(1))), axis=1),
        np.repeat(np.repeat(np.arange(0, 256, 2, dtype=np.uint8)[None, :, None], 64, 0), 3, 2),
    ],
    ids=["white 1", "white", "black 1", "black", "red 1", "red", "stripes", "mirrored", "ramp"],
)
def test_phash_equals_imagehash_where_bits_tie(pixels: Pixels) -> None:
    assert Phash().describe([image(pixels)]).payload[0]["phash"] == reference(pixels)


def test_phash_vector_holds_the_bits_of_its_payload() -> None:
    description = Phash().describe([image(scene(5))])
    bits = "".join(str(int(bit)) for bit in description.vectors[0])
    assert int(bits, 2) == int(description.payload[0]["phash"], 16)
