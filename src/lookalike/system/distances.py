"""Distances that compare vectors, and the likeness that follows from each.

Everything above the engines compares by likeness, of which more is nearer: the inner product for
`COSINE`, whose vectors have length 1, and `DOT`; minus the distance for `EUCLID` and `MANHATTAN`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGEST = 1e15
"""Greatest length of a vector, so that squares of distances fit into float32."""

EXPLORED = 600
"""Points that the graph search explores beyond the wanted ones where vectors are not quantized, so
that nothing is rescored. Of 50,000 vectors with log-normal lengths, a search by Euclidean distance
then finds 0.98 of the ten nearest instead of 0.95, in 0.5 ms instead of 0.2."""

OVERSAMPLING = 2.0
LEAST_RESCORED = 100
"""Every engine rescores a single target's nearest neighbors: it takes twice as many as wanted by
their quantized vectors, at least this many, and compares them again by their original vectors.
Where similarities are dense, as with colors, the error of int8 moves a point by dozens of ranks."""


def oversampling(wanted: int) -> float:
    """Ratio of rescored points to wanted points in a single-target query."""
    return max(OVERSAMPLING, LEAST_RESCORED / wanted)


class Distance(StrEnum):
    """A distance between vectors, by its name in a manifest."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLID = "euclid"
    MANHATTAN = "manhattan"

    @property
    def is_product(self) -> bool:
        """True if the likeness is an inner product, so that a vector has an opposite."""
        return self in (Distance.COSINE, Distance.DOT)

    @property
    def sign(self) -> float:
        """The factor that makes a likeness of an engine's score, which for `EUCLID` and `MANHATTAN`
        is the distance itself."""
        return 1.0 if self.is_product else -1.0

    def flaw(self, rows: NDArray[Any]) -> str:
        """The reason why one of (n, size) finite vectors cannot be compared; empty if all can."""
        lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
        if self is Distance.COSINE:
            return "" if lengths.all() else "is zero, and has no direction"
        return "" if (lengths <= LARGEST).all() else f"is longer than {LARGEST:g}"

    def likeness(self, rows: NDArray[Any], target: NDArray[Any]) -> NDArray[np.float32]:
        """(n,): the likeness of (n, size) vectors to a target, of length 1 for `COSINE`."""
        rows, target = np.asarray(rows, np.float32), np.asarray(target, np.float32)
        match self:
            case Distance.EUCLID:
                alike = -np.linalg.norm(rows - target, axis=1)
            case Distance.MANHATTAN:
                alike = -np.abs(rows - target).sum(axis=1)
            case _:
                alike = rows @ target
        return np.asarray(alike + 0.0, np.float32)  # no -0.0

    def pairs(self, rows: NDArray[Any]) -> NDArray[np.float32]:
        """(n, n): the likeness of all pairs among (n, size) vectors."""
        if self.is_product:
            return np.asarray(rows @ rows.T, np.float32)
        return np.array([self.likeness(rows, row) for row in rows], np.float32)
