"""Comparisons of two models with chosen figures."""

from __future__ import annotations

from collections.abc import Sequence

from lookalike.search.evaluation import Quality
from lookalike.search.model_comparison import (
    Agreement,
    ComparedModel,
    ComparedQuery,
    LabelPrecision,
    ModelComparison,
)
from lookalike.types import Distance, VectorSpec


def quality(mean: float) -> Quality:
    return Quality(mean, mean - 0.02, mean + 0.02)


def comparison(
    *,
    p95: float = 11.0,
    precision: float | None = 0.8,
    pairs: Sequence[ComparedQuery] = (),
    agreement: Sequence[Agreement] = (),
    notes: Sequence[str] = (),
) -> ModelComparison:
    """An old model with a p95 of 10 ms and a precision of 0.8, and a new one: 200 queries."""
    specs = [
        VectorSpec(f"{name}-1", None, 8, Distance.COSINE, "float32", name, "1")
        for name in ("old", "new")
    ]
    labels = None
    if precision is not None:
        figures = quality(0.8), quality(precision), quality(precision - 0.8)
        labels = LabelPrecision("brand", 150, *figures)
    return ModelComparison(
        ComparedModel(specs[0], 5.0, 10.0),
        ComparedModel(specs[1], 6.0, p95),
        10,
        quality(0.6),
        quality(0.55),
        tuple(agreement),
        (0, 0, 0, 0, 0, 50, 100, 50, 0, 0, 0),
        labels,
        tuple(pairs),
        tuple(notes),
    )
