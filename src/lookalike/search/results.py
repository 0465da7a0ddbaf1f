"""Results: a ranked page as `Hits`, with an explanation."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lookalike.search.hits import AspectPlan, Explanation, Hit, Hits
from lookalike.search.planner import Plan
from lookalike.search.ranking import Ranked, may_lack_color
from lookalike.search.targets import contributions
from lookalike.search.threshold import Result


def hits_of(
    plan: Plan,
    results: Sequence[Result],
    rows: Sequence[Ranked],
    *,
    is_short: bool,
    milliseconds: Mapping[str, float],
    others: Mapping[str, int],
) -> Hits:
    """The hits of a page.

    Args:
        plan: the plan of the request.
        results: the engine's result for each blend.
        rows: the page.
        is_short: whether the page is short for lack of rows in the pool.
        milliseconds: time that each stage took.
        others: number of images collapsed into a row, by id, where it is not that of its variants.
    """
    complete, reason = _completeness(plan, results, is_short=is_short)
    explanation = Explanation(
        aspects=_aspects(plan),
        candidates=max(result.candidates for result in results),
        compared=sum(result.compared for result in results),
        rounds=max(result.rounds for result in results),
        relevant_from=plan.floor,
        milliseconds=milliseconds,
        reason=reason,
        colors=None if plan.gate is None else str(plan.gate),
    )
    hits = tuple(_hit(one, others.get(one.row.id, len(one.variants))) for one in rows)
    return Hits(hits, complete, plan.weights, sum(milliseconds.values()), explanation)


def _completeness(
    plan: Plan, results: Sequence[Result], *, is_short: bool
) -> tuple[bool | None, str]:
    """The value of `Hits.complete`, and the reason."""
    if is_short:
        remedy = "" if plan.exact else "; an exact search looks at more"
        return False, f"Too few remained of the best {plan.pool:,} images{remedy}."
    if any(result.complete is False for result in results):
        remedy = "" if plan.exact else "; an exact search finds it"
        return False, (
            f"The search stopped at {plan.most_candidates:,} candidates per aspect, and a better "
            f"image may exist{remedy}."
        )
    if any(result.complete is None for result in results):
        return None, (
            "The engine's search is approximate and may have missed an image; an exact search "
            "proves the answer."
        )
    if may_lack_color(plan, results):
        return None, (
            f"The {plan.pool:,} images nearest to typical shades were ranked by their shares of "
            "the colors, and an image beyond them may have a larger share."
        )
    return True, "The engine searched exactly."


def _hit(one: Ranked, others: int) -> Hit:
    row, blend = one.row, one.blend
    scores = {target.aspect: score for target, score in zip(blend, row.scores, strict=True)}
    extent = {} if one.extent is None else {"color": one.extent}
    return Hit(
        id=row.id,
        score=row.score,
        scores=scores | extent,
        payload=row.payload,
        calibrated=one.calibrated,
        raw=math.fsum(target.weight * scores[target.aspect] for target in blend),
        shares=dict.fromkeys(extent, 0.0) | _shares(contributions(blend, row.scores)),
        variants=one.variants,
        others=others,
    )


def _shares(contributed: Mapping[str, float]) -> dict[str, float]:
    above = {aspect: max(value, 0.0) for aspect, value in contributed.items()}
    total = math.fsum(above.values())
    return {aspect: value / total if total else 0.0 for aspect, value in above.items()}


def _aspects(plan: Plan) -> dict[str, AspectPlan]:
    """The targets of the plan; of several blends those of the one with the most."""
    return {
        target.aspect: AspectPlan(
            vector=target.near.name,
            target=target.label,
            weight=target.weight,
            mean=target.background.mean if target.background else None,
            spread=target.background.spread if target.background else None,
            effective=target.near.weight,
        )
        for target in max(plan.blends, key=len)
    }
