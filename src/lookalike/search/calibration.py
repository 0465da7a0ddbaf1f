"""How similar random images are, aspect by aspect, so that weights mean influence.

Similarities of one aspect lie within a narrow band and those of another within a wide one, so a
plain weighted sum follows the wide one. Divided by their spread they weigh the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.manifest import Calibration
from lookalike.protocols import Engine
from lookalike.types import Background, Vector

SAMPLE = 1000
"""Images in a sample: it tells a spread to within 3 %."""
LEAST = 30
"""Images from which on a sample says anything."""
_LEAST_SPREAD = 0.005
"""Where all images look the same in an aspect, their differences are noise: not to be blown up."""


class Sample:
    """The vectors of some random images of an index, read when they are first needed.

    They are the first by point id: an id is a hash, so its order is a shuffle, the same each time.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def read(self, names: Sequence[str]) -> None:
        """Reads the vectors of these names together, in half the time of one after the other."""
        points = next(self._engine.scroll(payload=False, vectors=names, batch=SAMPLE), [])
        for name in names:
            rows = [point.vectors[name] for point in points]
            self._vectors[name] = np.array(rows, np.float32)

    def vectors(self, name: str) -> NDArray[np.float32]:
        """(n, size), rows of length 1, of the vector of this name; up to `SAMPLE` rows."""
        if name not in self._vectors:
            self.read([name])
        return self._vectors[name]

    def background(self, name: str, target: Vector) -> Background:
        """How similar random images are to this target, which need not be one of an image."""
        return _background(self.vectors(name) @ target)


def calibrate(engine: Engine, names: Sequence[str], images: int) -> Calibration | None:
    """The background of each vector over all pairs of a sample; None of too few images.

    Args:
        engine: holds the points.
        names: of vectors compared by cosine.
        images: how many the index holds.
    """
    if images < LEAST:
        return None
    sample = Sample(engine)
    sample.read(names)
    return Calibration(images, {name: _of_pairs(sample.vectors(name)) for name in names})


def is_due(calibration: Calibration | None, images: int) -> bool:
    """Whether an index of so many images should be sampled anew: it has doubled, or halved."""
    if calibration is None:
        return images >= LEAST
    return not calibration.images / 2 < images < calibration.images * 2


class Calibrator:
    """Backgrounds for the targets of searches in one index.

    That of an image is the index's own; to words, colors and mixtures similarities lie in other
    bands, and a sample of the index is compared with them.

    Args:
        sample: of the index.
        calibration: of the index; None where it holds too few images.
    """

    def __init__(self, sample: Sample, calibration: Calibration | None) -> None:
        self.sample = sample
        self.calibration = calibration

    def background(self, name: str, target: Vector, *, pictured: bool) -> Background | None:
        """How similar random images are to this target; None where the index is too small.

        Args:
            name: of the vector.
            target: to compare with.
            pictured: whether it is the vector of a picture.
        """
        if self.calibration is None:
            return None
        if pictured:
            return self.calibration.backgrounds[name]
        return self.sample.background(name, target)


def _of_pairs(vectors: NDArray[np.float32]) -> Background:
    others = ~np.eye(len(vectors), dtype=np.bool_)  # each pair twice, none with itself
    return _background((vectors @ vectors.T)[others])


def _background(similarities: NDArray[np.float32]) -> Background:
    return Background(float(similarities.mean()), max(float(similarities.std()), _LEAST_SPREAD))
