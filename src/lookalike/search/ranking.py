"""Ranking: the engine's rows become a page of results.

Rows of several blends are merged, irrelevant ones dropped, near-identical ones collapsed, and the
others diversified. Pure functions of a plan and the engine's results.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from lookalike.fields import Field
from lookalike.search import rerank
from lookalike.search.color_gate import PENALTY, ColorGate
from lookalike.search.planner import CHUNK, Plan, rows_needed
from lookalike.search.products import product_value
from lookalike.search.targets import Blend, contributions, standing
from lookalike.search.threshold import Result
from lookalike.types import Scored

Matrices: TypeAlias = Mapping[str, NDArray[np.float32]]
"""(n, size) each, by vector name."""


_NEAREST_SHADE = 0.3
"""Weight of likeness to the nearest typical shade beside the share of the colors, where a search is
about nothing else; measured by `benchmarks/color_words`."""


_RELEVANT = 0.5
"""Least extent of the colors in a relevant image, where a search is about nothing else."""


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row of the ranking.

    Attributes:
        row: the engine's row.
        blend: the blend that it is nearest to.
        calibrated: how far it stands above random images by that blend, less what it lacks of the
            colors asked for.
        extent: the extent to which it has those colors; None without color words.
        variants: ids of near-identical images that are collapsed into it.
    """

    row: Scored
    blend: Blend
    calibrated: float
    extent: float | None = None
    variants: tuple[str, ...] = ()


def rank(plan: Plan, results: Sequence[Result]) -> tuple[list[Ranked], bool]:
    """Ranks the rows of a plan.

    Args:
        plan: the plan.
        results: the engine's result for each blend.

    Returns:
        The page, best first; and whether it is short for lack of rows in the pool.
    """
    request = plan.request
    merged = _merge(plan, results)
    rows = merged
    if plan.floor is not None:
        about_color = plan.gate is not None and _is_about_color(plan)
        rows = [
            one
            for one in rows
            if ((one.extent or 0) >= _RELEVANT if about_color else one.calibrated > plan.floor)
        ]
    if not plan.needs_pool:
        return rows, False
    below_floor = len(rows) < len(merged)  # as any further row would be
    unproved = _is_unproved(plan, results, rows)
    if plan.product is not None:
        rows = _best_of_each(rows, plan.product)
    elif request["collapse"]:
        rows = _collapse(rows, plan.color_vector)
    exhausted = all(_is_exhausted(plan, result) for result in results)
    is_short = len(rows) < rows_needed(request) and not below_floor and not exhausted
    is_short = is_short or unproved
    if request["diversity"]:
        rows = _diversify(rows[: rows_needed(request)], plan.blends[0], request["diversity"])
    if plan.order is not None:
        order = plan.order
        rows = sorted(rows[: rows_needed(request)], key=lambda one: order.key(one.row.payload))
    return rows[request["offset"] : request["offset"] + request["limit"]], is_short


def _merge(plan: Plan, results: Sequence[Result]) -> list[Ranked]:
    """Merges rows into one ranking by the nearest blend, without those nearer to a dislike.

    The best rows by the maximum of several scores are among the best by each.
    """
    best: dict[str, Ranked] = {}
    for (blend, _), result in zip(plan.branches, results, strict=True):
        for row in result.rows:
            one = Ranked(row, blend, math.fsum(contributions(blend, row.scores).values()))
            if row.id not in best or one.calibrated > best[row.id].calibrated:
                best[row.id] = one
    rows = list(best.values())
    if plan.gate is not None:
        rows = sorted(
            (_gated(plan, plan.gate, one) for one in rows), key=lambda one: -one.calibrated
        )
    elif len(results) > 1:
        longest = max(len(result.rows) for result in results)
        rows = sorted(rows, key=lambda one: -one.calibrated)[:longest]
    if plan.against and rows:
        vectors = _vectors(rows)
        nearest = np.max([standing(blend, vectors) for blend in plan.against], axis=0)
        rows = [one for one, other in zip(rows, nearest, strict=True) if one.calibrated >= other]
    return rows


def _gated(plan: Plan, gate: ColorGate, one: Ranked) -> Ranked:
    """The row, ranked by how far it has the colors first. What else the search is about decides
    between rows that have them alike; if it is about nothing else, the share of the colors."""
    extent = gate.extent(one.row.payload)
    cost = PENALTY * (1 - extent)
    if _is_about_color(plan):
        shares = math.fsum(gate.shares(one.row.payload))
        calibrated = score = shares + _NEAREST_SHADE * one.calibrated - cost
    else:
        calibrated = one.calibrated - cost
        target = one.blend[0]  # of all, a deviation counts alike
        deviations = target.contribution(1.0) - target.contribution(0.0)
        score = one.row.score - cost * target.near.weight / deviations
    row = one.row  # `replace` takes five times as long, for hundreds of rows
    row = Scored(row.id, score, row.scores, row.payload, row.vectors)
    return Ranked(row, one.blend, calibrated, extent, one.variants)


def may_lack_color(plan: Plan, results: Sequence[Result]) -> bool:
    """True if a search by color words alone ranked a part of the images, as the nearest to their
    shades need not be those with the largest shares."""
    if plan.gate is None or not _is_about_color(plan):
        return False
    return not all(_is_exhausted(plan, result) for result in results)


def _is_about_color(plan: Plan) -> bool:
    return all(target.near.name == plan.color_vector for target in plan.blends[0])


def _is_exhausted(plan: Plan, result: Result) -> bool:
    """True if a branch has no more rows than these."""
    return len(result.rows) < plan.pool or len(result.rows) == plan.matching


def _is_unproved(plan: Plan, results: Sequence[Result], rows: Sequence[Ranked]) -> bool:
    """True if an image beyond the pool may have the colors, and belong on the page."""
    if plan.gate is None or _is_about_color(plan):
        return False
    page = rows[: rows_needed(plan.request)]
    end = page[-1].calibrated if page else -math.inf
    half = len(results) // 2 if plan.gate.filter is not None else 0
    for place, ((blend, _), result) in enumerate(zip(plan.branches, results, strict=True)):
        if _is_exhausted(plan, result) or not result.rows:
            continue
        bound = math.fsum(contributions(blend, result.rows[-1].scores).values())
        if place >= half and half:  # it has none of the colors, or is among the others
            bound -= PENALTY
        if bound > end:
            return True
    return False


def _collapse(rows: Sequence[Ranked], color_vector: str) -> list[Ranked]:
    if not rows:
        return []
    groups = rerank.collapse([one.row.payload for one in rows], _vectors(rows)[color_vector])
    return [
        replace(rows[first], variants=tuple(rows[i].row.id for i in others))
        for first, others in groups
    ]


def _best_of_each(rows: Sequence[Ranked], field: Field) -> list[Ranked]:
    """The first row of each value of a field, the others as its variants; a row without a value
    stands for itself."""
    others: dict[Any, list[str]] = {}
    first = list[tuple[Ranked, Any]]()
    for one in rows:
        value = product_value(one.row.payload, field)
        if value is None:
            first.append((one, None))
        elif value in others:
            others[value].append(one.row.id)
        else:
            others[value] = []
            first.append((one, value))
    return [replace(one, variants=tuple(others.get(value, ()))) for one, value in first]


def _diversify(rows: Sequence[Ranked], blend: Blend, diversity: float) -> list[Ranked]:
    """Diversifies rows a hundred at a time, so that pages fit together."""
    diverse: list[Ranked] = []
    for start in range(0, len(rows), CHUNK):
        chunk = rows[start : start + CHUNK]
        vectors = _vectors(chunk)
        similarities = [one.near.distance.pairs(vectors[one.near.name]) for one in blend]
        order = rerank.diversify(
            np.array([one.calibrated for one in chunk]),
            np.asarray(sum(contributions(blend, similarities).values())),
            diversity,
            len(chunk),
        )
        diverse += [chunk[i] for i in order]
    return diverse


def _vectors(rows: Sequence[Ranked]) -> Matrices:
    """(n, size) of n rows by name."""
    return {
        name: np.array([one.row.vectors[name] for one in rows], np.float32)
        for name in rows[0].row.vectors
    }
