"""Properties that every descriptor without a download has; see also tests/contract."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from lookalike.descriptors.color import Color
from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
from lookalike.descriptors.phash import Phash
from lookalike.descriptors.texture import Texture
from lookalike.protocols import Descriptor
from lookalike.types import Distance, Pixels
from tests.descriptors.samples import (
    RED,
    WHITE,
    WOOD,
    cropped,
    flat,
    image,
    jpeg,
    mirrored,
    sample,
    scene,
    shirt,
    vector,
)

GOLDEN = Path(__file__).parent / "golden"


ALL: list[Descriptor] = [Color(), Texture(), LookalikeSmall1(), Phash()]


each = pytest.mark.parametrize("descriptor", ALL, ids=lambda d: d.spec.name)


@each
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (2, 3), (3, 2), (1, 100), (100, 1), (7, 640), (260, 346)]
)
def test_any_shape_and_content_gives_a_usable_vector(
    descriptor: Descriptor, height: int, width: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    opaque, clear = np.full((height, width), 255, np.uint8), np.zeros((height, width), np.uint8)
    pictures = [
        *(image(flat(color, height, width)) for color in (WHITE, (0, 0, 0), (128, 128, 128), RED)),
        *(image(noise, alpha) for alpha in (None, opaque, clear)),
    ]
    vectors = descriptor.describe(pictures).vectors
    assert vectors.shape == (len(pictures), descriptor.spec.size)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    if descriptor.spec.distance is Distance.COSINE:
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    else:
        assert set(np.unique(vectors)) <= {0.0, 1.0}


@each
def test_no_images_give_no_rows(descriptor: Descriptor) -> None:
    assert descriptor.describe([]).vectors.shape == (0, descriptor.spec.size)


@each
def test_golden_vectors(descriptor: Descriptor) -> None:
    """Pins the vectors that indexes on disk hold. When they change, so must the spec's revision."""
    golden = json.loads((GOLDEN / f"{descriptor.spec.name}.json").read_text())
    assert golden["revision"] == descriptor.spec.revision
    for name, pixels in (("scene", scene(3)), ("shirt", shirt(RED, WOOD))):
        # Another processor may round a pixel differently.
        np.testing.assert_allclose(vector(descriptor, pixels), golden[name], atol=0.01)


@each
def test_threads_get_the_same_vectors_as_one_alone(descriptor: Descriptor) -> None:
    pictures = [image(scene(seed)) for seed in range(24)]
    alone = descriptor.describe(pictures).vectors
    with ThreadPoolExecutor(8) as pool:
        rows = list(
            pool.map(lambda picture: descriptor.describe([picture]).vectors[0], pictures * 4)
        )
    np.testing.assert_array_equal(rows, np.tile(alone, (4, 1)))


@pytest.mark.parametrize(
    ("descriptor", "change"),
    [(d, change) for d in ALL for change in (jpeg, cropped)]
    + [(d, mirrored) for d in ALL[:3]],  # a mirrored picture has a different perceptual hash
    ids=lambda value: value.spec.name if hasattr(value, "spec") else value.__name__,
)
def test_a_changed_copy_is_nearer_than_any_other_photo(
    descriptor: Descriptor, change: Callable[[Pixels], Pixels], data: Path
) -> None:
    photos = sample(data, 40)
    originals = descriptor.describe([image(p) for p in photos]).vectors
    copies = descriptor.describe([image(change(p)) for p in photos]).vectors
    distances = np.linalg.norm(copies[:, None] - originals[None], axis=2)
    nearest = distances.argmin(axis=1) == np.arange(len(photos))
    # The finest texture depends on the position of the sampling grid, which a crop shifts.
    assert nearest.mean() >= (0.85 if descriptor is ALL[1] and change is cropped else 1.0)
