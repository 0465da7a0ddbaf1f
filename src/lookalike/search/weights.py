"""Weights of a blend: presets, validation, normalization."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from lookalike.errors import InputError, QueryError
from lookalike.manifest import PRESET_NAME, Manifest

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
    presets: Mapping[str, Mapping[str, float]] = PRESETS,
) -> dict[str, float]:
    """The weight of each aspect, adding up to 1.

    Args:
        weights: by aspect; the name of a preset, of which only aspects with a target count; or
            None for equal weights on the default aspects.
        targets: aspects that the query has a target for.
        default: those of them that count without weights. A picture has a color and a texture too,
            but is meant for what it shows.
        aspects: aspects of the index.
        presets: the presets by name.

    Raises:
        QueryError: no target, an unknown aspect or preset, a weight without a target, a weight that
            is negative or not finite, or only zeros.
    """
    if not targets:
        raise QueryError(
            "Nothing to search by: give an image, an id, a text, a color or examples, or a field "
            "to sort by."
        )
    if weights is None:
        chosen = dict.fromkeys(default, 1.0)
    elif isinstance(weights, str):
        if weights not in presets:
            raise QueryError(f"There is no preset {weights!r:.80}; there are {', '.join(presets)}.")
        chosen = {name: w for name, w in presets[weights].items() if name in targets}
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


def presets_of(manifest: Manifest) -> dict[str, Mapping[str, float]]:
    """The presets of an index: the standard ones, and those of its own."""
    return {**manifest.presets, **PRESETS}


def check_preset_name(manifest: Manifest, name: str, *, replaces: bool) -> None:
    """Checks that a preset may have a name.

    Raises:
        InputError: it is not valid or taken.
    """
    if not PRESET_NAME.fullmatch(name):
        raise InputError(
            f"{name!r:.80} is not a valid name of a preset: use letters, digits, - and _."
        )
    if name in PRESETS:
        raise InputError(f"{name} is a standard preset: give yours another name.")
    if name in manifest.presets and not replaces:
        raise InputError(
            f"There is a preset {name!r} already: give another name, or replace it with --replace "
            "(in Python, replace=True)."
        )


def with_preset(manifest: Manifest, name: str, weights: Mapping[str, float] | None) -> Manifest:
    """The manifest with a preset, scaled to add up to 1; or without it, for None.

    Raises:
        QueryError: an unknown aspect, a weight that is negative or not finite, or only zeros.
    """
    others = {one: values for one, values in manifest.presets.items() if one != name}
    if weights is None:
        return replace(manifest, presets=others)
    aspects = list(manifest.aspects)
    scaled = choose_weights(weights, targets=aspects, default=aspects, aspects=aspects)
    return replace(manifest, presets={**others, name: scaled})


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
