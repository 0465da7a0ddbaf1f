"""Calibration: the similarity of random images in each aspect, so that weights mean influence.

Similarities of one aspect lie within a narrow band and those of another within a wide one, so a
plain weighted sum follows the wide one. Divided by their spread they weigh the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from lookalike.manifest import Calibration
from lookalike.manifest.store import ManifestStore
from lookalike.protocols import Engine
from lookalike.types import Background, Distance, Vector, VectorSpec

SAMPLE = 1000
"""Images in a sample: it tells a spread to within 3 %."""
LEAST = 30
"""Images in the smallest sample that is worth anything."""
_LEAST_SPREAD = 0.005
"""If all images look the same in an aspect, their differences are noise and not to be amplified.
For other distances than cosine it is a share of the usual similarity."""


def calibrate(engine: Engine, specs: Sequence[VectorSpec], images: int) -> Calibration | None:
    """The background of each vector over all pairs of a sample; None for too few images.

    Args:
        engine: holds the points.
        specs: the vectors.
        images: number of images in the index.
    """
    if images < LEAST:
        return None
    vectors = _read_sample(engine, [spec.name for spec in specs])
    if min(map(len, vectors.values())) < LEAST:
        return None
    backgrounds = {spec.name: _pair_background(vectors[spec.name], spec.distance) for spec in specs}
    return Calibration(images, backgrounds)


def is_due(calibration: Calibration | None, images: int) -> bool:
    """True if an index of this size should be sampled again: it has doubled, or halved."""
    if calibration is None:
        return images >= LEAST
    return not calibration.images / 2 < images < calibration.images * 2


def recalibrate(engine: Engine, manifests: ManifestStore) -> None:
    """Samples an index again if it has doubled or halved, and stores the calibration."""
    images, stored = engine.count(), manifests.read()
    if is_due(stored.calibration, images):
        specs = [stored.vectors[name] for name in stored.aspects.values()]
        calibration = calibrate(engine, specs, images)
        manifests.update(lambda manifest: replace(manifest, calibration=calibration))
    else:
        manifests.update()


class Calibrator:
    """Backgrounds for the targets of searches in one index.

    A picture has the background of the index. Similarities to text, colors and mixtures lie in
    other bands; those targets are compared with a sample, which is read when first needed.

    Args:
        engine: holds the points.
        calibration: calibration of the index; None if it holds too few images.
    """

    def __init__(self, engine: Engine, calibration: Calibration | None) -> None:
        self.calibration = calibration
        self._engine = engine
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def sample(self, name: str) -> NDArray[np.float32]:
        """(n, size): the named vector of up to `SAMPLE` random images."""
        if name not in self._vectors:
            self._vectors |= _read_sample(self._engine, [name])
        return self._vectors[name]

    def background(
        self, name: str, target: Vector, distance: Distance, *, pictured: bool
    ) -> Background | None:
        """The similarity of random images to a target; None if the index is too small.

        Args:
            name: name of the vector.
            target: vector to compare with.
            distance: that of the vector.
            pictured: whether it is the vector of a picture.
        """
        if self.calibration is None:
            return None
        if pictured:
            return self.calibration.backgrounds[name]
        return _background(distance.likeness(self.sample(name), target), distance)


def _read_sample(engine: Engine, names: Sequence[str]) -> Mapping[str, NDArray[np.float32]]:
    """Reads vectors by name, together: that takes half the time of one after the other.

    The sample is the first by point id: an id is a hash, so the order is a shuffle that stays.
    """
    points = next(engine.scroll(payload=False, vectors=names, batch=SAMPLE), [])
    return {
        name: np.array([one.vectors[name] for one in points if name in one.vectors], np.float32)
        for name in names
    }


def _pair_background(vectors: NDArray[np.float32], distance: Distance) -> Background:
    others = ~np.eye(len(vectors), dtype=np.bool_)  # each pair twice, none with itself
    return _background(distance.pairs(vectors)[others], distance)


def _background(similarities: NDArray[np.float32], distance: Distance) -> Background:
    mean = float(similarities.mean(dtype=np.float64))
    spread = float(similarities.std(dtype=np.float64))
    scale = 1.0 if distance is Distance.COSINE else float(np.abs(similarities).mean())
    return Background(mean, max(spread, _LEAST_SPREAD * scale) or 1.0)
