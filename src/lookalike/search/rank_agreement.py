"""Agreement of two rankings of the same images. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def shared(one: Sequence[str], other: Sequence[str]) -> int:
    """Number of ids that are in both rankings."""
    return len(set(one) & set(other))


def overlap(one: Sequence[str], other: Sequence[str]) -> float:
    """The share of two rankings' ids that both have; 1 for two empty ones."""
    longest = max(len(one), len(other))
    return shared(one, other) / longest if longest else 1.0


def rank_biased_overlap(one: Sequence[str], other: Sequence[str], depth: int) -> float:
    """The extrapolated rank-biased overlap of two rankings, from 0 to 1 for equal ones.

    It is the mean overlap of the first 1, 2, 3, … ids, weighted as a person sees them who reads on
    to the next with a probability of 1 - 1/depth, and so sees `depth` ids on average (Webber,
    Moffat and Zobel, "A similarity measure for indefinite rankings", 2010,
    https://doi.org/10.1145/1852102.1852106). Kendall's tau and Spearman's rho are not
    defined for rankings that lack ids of each other, and count the last ranks like the first.

    Args:
        one, other: ids, the best first, each once.
        depth: number of ids that count.
    """
    reached = min(depth, max(len(one), len(other)))
    if reached == 0:
        return 1.0
    on = 1 - 1 / depth
    agreements = [overlap(one[:d], other[:d]) for d in range(1, reached + 1)]
    seen = sum((1 - on) * on**d * agreement for d, agreement in enumerate(agreements))
    return float(seen + agreements[-1] * on**reached)
