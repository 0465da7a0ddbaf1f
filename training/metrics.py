"""Precision at ten, as the project measures it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import data
import numpy as np
from data import Photos, Pixels
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Embed = Callable[[list[Pixels]], Rows]


def unit(rows: Rows) -> Rows:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def nearest(rows: Rows, count: int = 10) -> NDArray[np.intp]:
    """The numbers of the `count` nearest other rows of each row, by cosine."""
    cosines = unit(rows) @ unit(rows).T
    np.fill_diagonal(cosines, -np.inf)
    return np.argpartition(-cosines, count, axis=1)[:, :count]


def precision_at_10(rows: Rows, labels: Sequence[str]) -> float:
    """Mean over all rows of the share of the ten nearest others with the same label."""
    label = np.asarray(labels)
    return float((label[nearest(rows)] == label[:, None]).mean())


def best_precision_at_10(labels: Sequence[str]) -> float:
    """What a perfect model would have: small classes have fewer than ten others."""
    counts = Counter(labels)
    return float(np.mean([min(10, counts[label] - 1) / 10 for label in labels]))


def held_out(photos: Photos, embed: Embed) -> dict[str, float]:
    """Precision at ten on the held-out images, on the unseen classes, and by clothing category."""
    found = {}
    for part in ("held", "unseen"):
        rows = [row for row in photos.rows(part) if photos.labels[row]]
        vectors = embed([data.square(photos.pixels[row]) for row in rows])
        labels = [photos.labels[row] for row in rows]
        found[part] = precision_at_10(vectors, labels)
        for source in ("clothing", "grocery", "caltech101"):
            of = [n for n, row in enumerate(rows) if photos.sources[row] == source]
            if len({labels[n] for n in of}) > 1:
                found[f"{part} {source}"] = precision_at_10(vectors[of], [labels[n] for n in of])
    return found
