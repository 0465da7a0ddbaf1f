"""What every descriptor must do. A new module in `descriptors/` is found by itself."""

from __future__ import annotations

import numpy as np
import pytest

from lookalike import descriptors
from lookalike.protocols import Descriptor
from lookalike.types import Distance, Image, Pixels
from tests.support.pictures import draw


def picture(pixels: Pixels) -> Image:
    height, width, _ = pixels.shape
    return Image(pixels, None, width, height, "PNG", "0" * 64, 1, None)


PICTURES = [
    picture(np.asarray(draw(1))),
    picture(np.asarray(draw(2, size=(300, 200)))),
    picture(np.zeros((1, 1, 3), np.uint8)),
    picture(np.full((3, 2, 3), 255, np.uint8)),
    picture(np.full((300, 300, 3), 128, np.uint8)),
    picture(np.random.default_rng(0).integers(0, 256, (200, 260, 3)).astype(np.uint8)),
    picture(np.random.default_rng(1).integers(0, 256, (2, 200, 3)).astype(np.uint8)),
]


@pytest.fixture(params=descriptors.names())
def descriptor(request: pytest.FixtureRequest) -> Descriptor:
    return descriptors.load(request.param)


def test_its_name_finds_it(descriptor: Descriptor) -> None:
    assert descriptors.load(descriptor.spec.name).spec == descriptor.spec
    assert 1 <= descriptor.side <= 256


def test_rows_are_of_the_size_promised_finite_and_not_zero(descriptor: Descriptor) -> None:
    rows = descriptor.describe(PICTURES).vectors
    assert rows.shape == (len(PICTURES), descriptor.spec.size)
    assert np.isfinite(rows).all()
    if descriptor.spec.distance is Distance.COSINE:
        np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    if descriptor.spec.datatype == "uint8":
        np.testing.assert_array_equal(rows, rows.astype(np.uint8))


def test_a_batch_is_its_pictures_one_by_one(descriptor: Descriptor) -> None:
    together = descriptor.describe(PICTURES)
    for i, one in enumerate(PICTURES):
        alone = descriptor.describe([one])
        np.testing.assert_allclose(alone.vectors[0], together.vectors[i], atol=1e-6)
        if together.payload:
            assert alone.payload[0] == together.payload[i]


def test_pictures_that_differ_have_vectors_that_differ(descriptor: Descriptor) -> None:
    rows = descriptor.describe(PICTURES[:2]).vectors
    assert abs(rows[0] - rows[1]).max() > 0.01


def test_an_empty_batch_is_no_error(descriptor: Descriptor) -> None:
    assert descriptor.describe([]).vectors.shape == (0, descriptor.spec.size)
