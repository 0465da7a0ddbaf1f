"""Targets and weights into a query, and a query into the right answer. Pure but for the asking.

The score of a point is the weighted sum of its similarities. Each target proposes its nearest
candidates, every candidate is scored by every target, and Fagin's threshold algorithm (Fagin,
Lotem and Naor, "Optimal aggregation algorithms for middleware", 2003) says whether a point that
nobody proposed could still belong to the answer; if so, more candidates are asked for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import TypeAlias

import numpy as np
from PIL import ImageColor

from lookalike import palette
from lookalike.errors import QueryError
from lookalike.protocols import Engine
from lookalike.types import Answer, Query, Vector

PRESETS: Mapping[str, Mapping[str, float]] = {
    "style": {"semantic": 0.8, "color": 0.2},
    "color": {"semantic": 0.2, "color": 0.8},
    "material": {"semantic": 0.4, "color": 0.1, "texture": 0.5},
    "balanced": {"semantic": 0.5, "color": 0.3, "texture": 0.2},
}

FIRST_CANDIDATES = 200
MOST_CANDIDATES = 12_800
_ROUNDING = 1e-6
"""Sums of float32 similarities are not exact; two that differ by less are the same."""


@dataclass(frozen=True, slots=True)
class Result:
    """An answer, and whether nothing better can have been missed."""

    answer: Answer
    complete: bool


def choose_weights(
    weights: Mapping[str, float] | str | None,
    *,
    targets: Sequence[str],
    meant: Sequence[str],
    aspects: Sequence[str],
) -> dict[str, float]:
    """The weight of each aspect, adding up to 1.

    Args:
        weights: by aspect, the name of a preset, or None for equal weights on what is meant. Of
            a preset only the aspects with a target count; weights that are given must each have
            a target.
        targets: aspects that the query has a target for.
        meant: those of them that count when nothing else is said: an image has a colour and a
            texture too, and is meant for what it shows.
        aspects: aspects that the index has.

    Raises:
        QueryError: no target, an unknown aspect or preset, a weight without a target, or one that
            is negative or no number, or all zero.
    """
    if not targets:
        raise QueryError("Nothing to search by: give an image, an id, a text or a colour.")
    if weights is None:
        chosen = dict.fromkeys(meant, 1.0)
    elif isinstance(weights, str):
        if weights not in PRESETS:
            raise QueryError(f"There is no preset {weights!r}; there are {', '.join(PRESETS)}.")
        chosen = {name: w for name, w in PRESETS[weights].items() if name in targets}
        if not chosen:
            raise QueryError(
                f"The preset {weights!r} weighs none of what the query is about "
                f"({', '.join(targets)}): give weights instead."
            )
    else:
        chosen = _checked(weights, targets, aspects)
    total = math.fsum(chosen.values())
    return {name: weight / total for name, weight in chosen.items() if weight > 0}


def _checked(
    weights: Mapping[str, float], targets: Sequence[str], aspects: Sequence[str]
) -> dict[str, float]:
    for name, weight in weights.items():
        if name not in aspects:
            raise QueryError(f"There is no aspect {name!r}; this index has {', '.join(aspects)}.")
        if not math.isfinite(weight) or weight < 0:
            raise QueryError(f"The weight of {name} is {weight}: give a number from 0 up.")
        if weight > 0 and name not in targets:
            raise QueryError(
                f"{name} has a weight and nothing to compare with: give an image, an id, or "
                "another target for it."
            )
    if not any(weights.values()):
        raise QueryError("All weights are zero: give at least one aspect a weight.")
    return dict(weights)


RGB: TypeAlias = tuple[int, int, int]


def shades(text: str) -> tuple[RGB, ...]:
    """What a colour means, in sRGB, 0 to 255, the most typical shade first.

    One of the eleven basic terms ("blue") means all of its shades, any other CSS name ("navy")
    or "#rrggbb" just that one.

    Raises:
        QueryError: it is none of these.
    """
    name = text.strip().lower().replace("gray", "grey")
    if name in palette.SHADES:
        return palette.SHADES[name]
    try:
        return (ImageColor.getrgb(name)[:3],)
    except ValueError:
        near = get_close_matches(name, ImageColor.colormap, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "try red, navy or #1a2b3c."
        raise QueryError(f"There is no colour {text!r}; {hint}") from None


def parse_colors(names: Sequence[str]) -> list[tuple[RGB, float]]:
    """The colours with their shares, in equal parts: what a colour descriptor takes.

    Raises:
        QueryError: one of them is no colour.
    """
    meant = [shades(name) for name in names]
    return [(rgb, 1 / len(names) / len(several)) for several in meant for rgb in several]


def swatch(name: str) -> str:
    """The colour as "#rrggbb", to show what was asked for.

    Raises:
        QueryError: it is no colour.
    """
    return "#{:02x}{:02x}{:02x}".format(*shades(name)[0])


def combine(vectors: Sequence[Vector]) -> Vector:
    """One target out of several for the same aspect: the direction of their mean.

    Ranking by it is ranking by the mean of the cosine similarities to each.

    Raises:
        QueryError: they cancel out.
    """
    mean = np.mean([vector / np.linalg.norm(vector) for vector in vectors], axis=0)
    length = float(np.linalg.norm(mean))
    if length < _ROUNDING:
        raise QueryError("The targets contradict each other: together they point nowhere.")
    return np.asarray(mean / length, np.float32)


def run(engine: Engine, query: Query, *, most: int = MOST_CANDIDATES) -> Result:
    """The top of the weighted sum, widened until it is proved or `most` candidates are reached."""
    if query.limit == 0:
        return Result(Answer((), ()), complete=True)
    candidates = max(FIRST_CANDIDATES, 2 * (query.offset + query.limit))
    while True:
        answer = engine.query(replace(query, candidates=candidates))
        if _proved(query, answer):
            return Result(answer, complete=True)
        if candidates >= most:
            return Result(answer, complete=False)
        candidates = min(4 * candidates, most)


def _proved(query: Query, answer: Answer) -> bool:
    if -math.inf in answer.floors:  # one target proposed every point that passes
        return True
    if len(answer.rows) < query.limit:
        return False
    best_unseen = math.fsum(
        near.weight * floor for near, floor in zip(query.near, answer.floors, strict=True)
    )
    return answer.rows[-1].score >= best_unseen - _ROUNDING
