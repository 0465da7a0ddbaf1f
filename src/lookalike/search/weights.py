"""Weights of a blend: presets, validation, normalization."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from lookalike.errors import QueryError

PRESETS: Mapping[str, Mapping[str, float]] = {
    "style": {"semantic": 0.8, "color": 0.2},
    "color": {"semantic": 0.2, "color": 0.8},
    "material": {"semantic": 0.4, "color": 0.1, "texture": 0.5},
    "balanced": {"semantic": 0.5, "color": 0.3, "texture": 0.2},
}


def choose_weights(
    weights: Mapping[str, float] | str | None,
    *,
    targets: Sequence[str],
    default: Sequence[str],
    aspects: Sequence[str],
) -> dict[str, float]:
    """The weight of each aspect, adding up to 1.

    Args:
        weights: by aspect; the name of a preset, of which only aspects with a target count; or
            None for equal weights on the default aspects.
        targets: aspects that the query has a target for.
        default: those of them that count without weights. A picture has a color and a texture too,
            but is meant for what it shows.
        aspects: aspects of the index.

    Raises:
        QueryError: no target, an unknown aspect or preset, a weight without a target, a weight that
            is negative or not finite, or only zeros.
    """
    if not targets:
        raise QueryError("Nothing to search by: give an image, an id, a text, a color or examples.")
    if weights is None:
        chosen = dict.fromkeys(default, 1.0)
    elif isinstance(weights, str):
        if weights not in PRESETS:
            raise QueryError(f"There is no preset {weights!r:.80}; there are {', '.join(PRESETS)}.")
        chosen = {name: w for name, w in PRESETS[weights].items() if name in targets}
        if not chosen:
            raise QueryError(
                f"The preset {weights!r} has no weight for the aspects of this query "
                f"({', '.join(targets)}): give weights instead."
            )
    else:
        chosen = _checked(weights, targets, aspects)
    most = max(chosen.values())  # before the sum, which may be too large for a float
    total = math.fsum(weight / most for weight in chosen.values())
    return {name: weight / most / total for name, weight in chosen.items() if weight > 0}


def _checked(
    weights: Mapping[str, float], targets: Sequence[str], aspects: Sequence[str]
) -> dict[str, float]:
    for name, weight in weights.items():
        if name not in aspects:
            raise QueryError(f"There is no aspect {name!r}; this index has {', '.join(aspects)}.")
        if not math.isfinite(weight) or weight < 0:
            raise QueryError(f"The weight of {name} is {weight}: give 0 or a positive number.")
        if weight > 0 and name not in targets:
            raise QueryError(
                f"{name} has a weight and nothing to compare with: give an image, an id, or "
                "another target for it."
            )
    if not any(weights.values()):
        raise QueryError("All weights are zero: give at least one aspect a weight.")
    return dict(weights)
