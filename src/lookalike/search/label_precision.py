"""Label precision: the share of an image's nearest neighbors that have its value of a field.

It compares two models without people who judge: a neighbor of the same brand or category is more
often right than another. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.fields import Field
from lookalike.search.judgments import labels_of
from lookalike.types import Payload

_PAIRS = 2_000
"""Random pairs of images that tell how often a value is shared by chance."""
_LEAST_LIFT = 0.05
"""Precision beyond chance from which on a field can be chosen. Where neighbors share a value hardly
more often than random images do, the field says nothing about a model."""


def label_shares(
    fields: Sequence[Field], query: Payload, found: Sequence[Payload]
) -> NDArray[np.float64]:
    """(f,): for each field, the share of some images that have one of the query's values; NaN where
    the query has none."""
    if not found:
        return np.full(len(fields), np.nan)
    shares = np.full(len(fields), np.nan)
    for i, field in enumerate(fields):
        if labels := labels_of(field, query):
            shares[i] = np.mean([bool(labels & labels_of(field, payload)) for payload in found])
    return shares


def choose_field(
    fields: Sequence[Field], queries: Sequence[Payload], shares: NDArray[np.float64]
) -> int | None:
    """Chooses the field that judges neighbors best: the one with the highest precision beyond
    chance, as in Cohen's kappa, times the share of queries with a value. A serial number, the same
    value everywhere, or a value that pictures do not show, come out near 0.

    The precisions of both models count alike, so that the choice favors neither.

    Args:
        fields: the fields to choose from.
        queries: (n,) payloads of the images searched by, a random sample.
        shares: (n, f, models), as from `label_shares`.

    Returns:
        The index of the field; None if none judges anything.
    """
    lifts = [
        _lift(_shared_by_chance(field, queries), shares[:, i]) for i, field in enumerate(fields)
    ]
    best = int(np.argmax(lifts)) if lifts else 0
    return best if lifts and lifts[best] >= _LEAST_LIFT else None


def _lift(chance: float, shares: NDArray[np.float64]) -> float:
    """The mean precision beyond chance; a query without a value counts as 0."""
    labeled = ~np.isnan(shares[:, 0])
    if chance >= 1 or not labeled.any():
        return 0.0
    beyond = (float(shares[labeled].mean()) - chance) / (1 - chance)
    return beyond * float(labeled.mean())


def _shared_by_chance(field: Field, queries: Sequence[Payload]) -> float:
    """The share of random pairs of different images, both with a value, that share one."""
    labels = [found for payload in queries if (found := labels_of(field, payload))]
    if len(labels) < 2:
        return 1.0
    rng = np.random.default_rng(0)
    first = rng.integers(0, len(labels), _PAIRS)
    second = (first + rng.integers(1, len(labels), _PAIRS)) % len(labels)
    return float(np.mean([bool(labels[i] & labels[j]) for i, j in zip(first, second, strict=True)]))
