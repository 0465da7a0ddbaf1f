"""Label precision: the share of an image's nearest neighbors that have its value of a field.

It compares two models without people who judge: a neighbor of the same brand or category is more
often right than another. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lookalike.fields import Field
from lookalike.search.judgments import labels_of
from lookalike.types import Payload

_PAIRS = 2_000
"""Random pairs of images that tell how often a value is shared by chance."""
_LEAST_INFORMATION = 0.03
"""Nats from which on a field can be chosen. Where neighbors share a value hardly more often than
random images do, the field says nothing about a model."""


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
    """Chooses the field that tells neighbors best from random images: the one whose value gives the
    most information, times the share of queries with a value.

    That is the Kullback-Leibler divergence of the precision from that of random images. It is near
    0 for a serial number, for the same value everywhere, and for a value that pictures do not show;
    and a hundred kinds of which two thirds are found exceed two that every model tells apart.

    The precisions of both models count alike, so that the choice favors neither.

    Args:
        fields: the fields to choose from.
        queries: (n,) payloads of the images searched by, a random sample.
        shares: (n, f, models), as from `label_shares`.

    Returns:
        The index of the field; None if none judges anything.
    """
    told = [
        _information(shares[:, i], _shared_by_chance(field, queries))
        for i, field in enumerate(fields)
    ]
    best = int(np.argmax(told)) if told else 0
    return best if told and told[best] >= _LEAST_INFORMATION else None


def _information(shares: NDArray[np.float64], chance: float) -> float:
    """The information of a field in nats per neighbor, from its precisions by query and model."""
    labeled = ~np.isnan(shares[:, 0])
    precision = float(shares[labeled].mean()) if labeled.any() else 0.0
    chance = max(chance, 1 / _PAIRS)
    if precision <= chance:
        return 0.0
    gain = precision * math.log(precision / chance)
    if precision < 1:
        gain += (1 - precision) * math.log((1 - precision) / (1 - chance))
    return gain * float(labeled.mean())


def _shared_by_chance(field: Field, queries: Sequence[Payload]) -> float:
    """The share of random pairs of different images, both with a value, that share one."""
    labels = [found for payload in queries if (found := labels_of(field, payload))]
    if len(labels) < 2:
        return 1.0
    rng = np.random.default_rng(0)
    first = rng.integers(0, len(labels), _PAIRS)
    second = (first + rng.integers(1, len(labels), _PAIRS)) % len(labels)
    return float(np.mean([bool(labels[i] & labels[j]) for i, j in zip(first, second, strict=True)]))
