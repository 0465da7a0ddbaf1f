"""The contract of a descriptor, checked for all that need no download."""

from __future__ import annotations

import importlib
import pkgutil

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


def test_every_class_with_a_spec_is_registered() -> None:
    classes = {
        value.spec.name
        for module in pkgutil.iter_modules(descriptors.__path__, f"{descriptors.__name__}.")
        for value in vars(importlib.import_module(module.name)).values()
        if isinstance(value, type) and value.__module__ == module.name and hasattr(value, "spec")
    }
    assert classes
    assert classes <= set(descriptors.names())


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
    batch = descriptor.describe(PICTURES)
    for i, image in enumerate(PICTURES):
        single = descriptor.describe([image])
        np.testing.assert_allclose(single.vectors[0], batch.vectors[i], atol=1e-6)
        if batch.payload:
            assert single.payload[0] == batch.payload[i]


def test_pictures_that_differ_have_vectors_that_differ(descriptor: Descriptor) -> None:
    rows = descriptor.describe(PICTURES[:2]).vectors
    assert abs(rows[0] - rows[1]).max() > 0.01


def test_an_empty_batch_is_no_error(descriptor: Descriptor) -> None:
    assert descriptor.describe([]).vectors.shape == (0, descriptor.spec.size)
