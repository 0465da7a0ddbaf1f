"""Precision at ten, as defined by the project's benchmarks."""

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
    """Returns the numbers of the `count` nearest other rows of each row, by cosine."""
    cosines = unit(rows) @ unit(rows).T
    np.fill_diagonal(cosines, -np.inf)
    return np.argpartition(-cosines, count, axis=1)[:, :count]


def precision_at_10(rows: Rows, labels: Sequence[str]) -> float:
    """Returns the share of the ten nearest others with the same label, averaged over all rows."""
    label = np.asarray(labels)
    return float((label[nearest(rows)] == label[:, None]).mean())


def best_precision_at_10(labels: Sequence[str]) -> float:
    """Returns the precision of a perfect model: small classes have fewer than ten others."""
    counts = Counter(labels)
    return float(np.mean([min(10, counts[label] - 1) / 10 for label in labels]))


def held_out(photos: Photos, embed: Embed) -> dict[str, float]:
    """Returns precision at ten on held-out images and on unseen classes, in all and by source."""
    figures = {}
    for part in ("held", "unseen"):
        rows = [row for row in photos.rows(part) if photos.labels[row]]
        vectors = embed([data.square(photos.pixels[row]) for row in rows])
        labels = [photos.labels[row] for row in rows]
        figures[part] = precision_at_10(vectors, labels)
        for source in ("clothing", "grocery", "caltech101"):
            members = [n for n, row in enumerate(rows) if photos.sources[row] == source]
            if len({labels[n] for n in members}) > 1:
                of_source = [labels[n] for n in members]
                figures[f"{part} {source}"] = precision_at_10(vectors[members], of_source)
    return figures
