"""Small indexes to search, with the vectors they hold as arrays; brute force over them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.index import Index
from lookalike.search.hits import Hits
from lookalike.types import Point, Vector

Floats = NDArray[np.floating]

DRAWN = 64
COUNT = DRAWN + 2
BLEND = {"semantic": 0.5, "color": 0.3, "texture": 0.2}


class Shop:
    """An index of pictures, and its vectors as arrays.

    `sku-copy` is picture 3 saved again, and `sku-twin` the very file of picture 5.
    """

    def __init__(self, index: Index, photos: Path) -> None:
        self.index, self.photos = index, photos
        points = list(index.scroll(vectors=True))
        self.ids = [point.id for point in points]
        self.vectors = {
            aspect: np.array([point.vectors[name] for point in points])
            for aspect, name in index._manifest.aspects.items()
        }

    def file(self, i: int) -> Path:
        return self.photos / f"{i:03}.jpg"

    def of(self, id: str, aspect: str = "semantic") -> Floats:
        return np.asarray(self.vectors[aspect][self.ids.index(id)])

    def scores(self, target: Floats | Vector, aspect: str = "semantic") -> dict[str, float]:
        """Similarity of every image to a target, by brute force."""
        found = self.vectors[aspect] @ (target / np.linalg.norm(target))
        return dict(zip(self.ids, found.tolist(), strict=True))


def ids(hits: Sequence[Any]) -> list[str]:
    return [hit.id for hit in hits]


def check_scores(hits: Hits, expected: Mapping[str, float], aspect: str = "semantic") -> None:
    """Checks the scores of hits, and that they are the best by those of one aspect."""
    best = sorted(expected.values(), reverse=True)[: len(hits)]
    assert [hit.scores[aspect] for hit in hits] == pytest.approx(best, abs=1e-4)
    for hit in hits:
        assert hit.scores[aspect] == pytest.approx(expected[hit.id], abs=1e-4)


def text(shop: Shop, words: str) -> Floats:
    descriptor: Any = shop.index._models.descriptor(shop.index._manifest.semantic.name)
    return np.asarray(descriptor.describe_text([words])[0])


def spread(shop: Shop, target: Floats) -> float:
    """The spread of the similarities of all images to a target. The index is smaller than a
    sample."""
    return float(np.std(list(shop.scores(target).values())))


def kinds(hits: Hits) -> list[str]:
    return [Path(hit.id).name.split("-")[0] for hit in hits]


def blended(shop: Shop, target: str, weights: Mapping[str, float]) -> dict[str, float]:
    """The weighted similarity of every image to one of them."""
    parts = {aspect: shop.scores(shop.of(target, aspect), aspect) for aspect in weights}
    return {
        id: math.fsum(w * parts[aspect][id] for aspect, w in weights.items()) for id in shop.ids
    }


def fill(index: Index, vectors: Callable[[int], Mapping[str, Floats]], count: int) -> None:
    """Adds points without files, their vectors made by `vectors` from a number, by aspect."""
    rng = np.random.default_rng(0)
    aspects = index._manifest.aspects
    index._engine.upsert(
        [
            Point(
                str(i),
                {
                    aspects[aspect]: np.asarray(one / np.linalg.norm(one), np.float32)
                    for aspect, one in vectors(i).items()
                },
                {"image": {"id": str(i), "sha256": f"{i:064x}", "phash": rng.bytes(8).hex()}},
            )
            for i in range(count)
        ]
    )
    index.calibrate()
