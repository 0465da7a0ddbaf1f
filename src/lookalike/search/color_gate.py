"""Color words as a condition that images meet more or less: "like this, but navy".

A sum of similarities lets a perfect shape pay for a wrong color, and people do not. So a color word
is no term of the sum: it is the extent to which an image has the color, from 0 to 1, and what an
image lacks of it costs more than likeness can make up for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from lookalike import record
from lookalike.errors import QueryError
from lookalike.fields import OWN_FIELDS
from lookalike.imaging import color_terms, palette
from lookalike.imaging.color_terms import RGB, Term
from lookalike.record import Color, record_of
from lookalike.search.request import ColorInput
from lookalike.types import AnyOfValues, Filter, Payload, join

ENOUGH = 0.5
"""Share of a picture's colors from which it simply has the color: half blue is blue."""

PENALTY = 12.0
"""Cost of lacking the color altogether, in standard deviations of likeness."""

_SHADES = 3
"""Shades of one term that candidates are looked for by, when there is nothing else to go by."""
_SEVERAL = 3
_VISIBLE = 0.1
"""Number of colors that make a picture multicolored, and the least share of each."""


def term_of(text: str) -> Term:
    """The color term that a text names.

    Raises:
        QueryError: it names no color.
    """
    term = color_terms.find(text)
    if term is None:
        near = color_terms.similar_names(text)
        hint = f"did you mean {' or '.join(near)}?" if near else "try red, navy or #1a2b3c."
        raise QueryError(f"There is no color {text[:60]!r}; {hint}")
    return term


@dataclass(frozen=True, slots=True)
class ColorGate:
    """The color words of a search.

    Attributes:
        terms: an image should have all of them.
        excluded: an image should have none of them.
    """

    terms: tuple[Term, ...]
    excluded: tuple[Term, ...] = ()

    @classmethod
    def of(cls, colors: ColorInput, excluded: Sequence[str] = ()) -> ColorGate | None:
        """The gate of color words, and of words for colors not wanted; None for a palette with
        shares.

        Raises:
            QueryError: a word names no color.
        """
        if isinstance(colors, Mapping):
            return None
        words = [colors] if isinstance(colors, str) else list(colors)
        if any("=" in word for word in words):
            return None
        wanted, unwanted = (dict.fromkeys(map(term_of, some)) for some in (words, excluded))
        return cls(tuple(wanted), tuple(term for term in unwanted if term not in wanted))

    def __str__(self) -> str:
        unwanted = [f"not {term.name}" for term in self.excluded]
        return " and ".join([*(term.name for term in self.terms), *unwanted])

    @property
    def filter(self) -> Filter | None:
        """A filter that no image fails which has anything of the colors."""
        path = OWN_FIELDS[record.COLORS].path
        names = [color_terms.basic_terms(term) for term in self.terms if term.shades]
        return join(*(AnyOfValues(path, several) for several in names))

    def extent(self, payload: Payload) -> float:
        """The extent from 0 to 1 to which an image has the colors."""
        enough = ENOUGH / max(len(self.terms), 1)
        shares = self.shares(payload)
        has = math.prod(min(share / enough, 1.0) for share in shares)
        return has * math.prod(1 - min(share / ENOUGH, 1.0) for share in self._unwanted(payload))

    def shares(self, payload: Payload) -> list[float]:
        """The share of the image that has each color."""
        return self._shares(self.terms, payload)

    def _unwanted(self, payload: Payload) -> list[float]:
        return self._shares(self.excluded, payload) if self.excluded else []

    def _shares(self, terms: Sequence[Term], payload: Payload) -> list[float]:
        colors = without_shadows(record_of(payload)["colors"])
        return [_share(term, colors) for term in terms]

    def representatives(self) -> Sequence[Sequence[RGB]]:
        """Palettes to look for candidates by: an image is as near as it is to the nearest."""
        if len(self.terms) > 1:
            return [[term.shades[0] for term in self.terms if term.shades] or _RAINBOW]
        (term,) = self.terms
        return [[shade] for shade in term.shades[:_SHADES]] if term.shades else [_RAINBOW]


_SHADOWS: Mapping[str, Sequence[str]] = {
    "brown": ("orange", "yellow"),
    "grey": ("white", "black"),
}
"""Colors that others may look like in shadow or by their sheen, each with those others."""

_LIT = 0.5
"""Least share of a color in comparison with its shadow."""
_SAME_HUE = 14.0
"""Difference of hue in degrees, below which one color may be the shadow of another."""

_RAINBOW: Sequence[RGB] = [palette.SHADES[name][0] for name in ("red", "yellow", "green", "blue")]


def without_shadows(colors: Sequence[Color]) -> list[Color]:
    """The colors, where one that is only another in shadow, or its sheen, counts as that other.

    Orange and yellow look brown in shadow, and white and black gray in half light. A color is taken
    for that of another of the same hue that covers at least half as much.
    """
    in_doubt = [color for color in colors if color["name"] in _SHADOWS]
    if not in_doubt:
        return list(colors)
    shares = {color["name"]: color["share"] for color in colors}
    for color in in_doubt:
        for other in colors:
            if _is_shadow(color, other):
                shares[other["name"]] += color["share"]
                shares[color["name"]] -= color["share"]
                break
    return [{**color, "share": share} for color in colors if (share := shares[color["name"]]) > 0]


def _is_shadow(color: Color, other: Color) -> bool:
    """True if the color may be only the other in shadow."""
    if other["name"] not in _SHADOWS.get(color["name"], ()):
        return False
    if other["share"] < _LIT * color["share"]:
        return False
    if color["name"] == "grey":
        return True
    lab = palette.lab_of(np.array([palette.rgb_of(one["hex"][1:]) for one in (color, other)]))
    first, second = np.degrees(np.arctan2(lab[:, 2], lab[:, 1]))
    return bool(lab[0, 0] < lab[1, 0] and abs((first - second + 180) % 360 - 180) < _SAME_HUE)


def _share(term: Term, colors: Sequence[Color]) -> float:
    if not term.shades:
        several = sum(color["share"] >= _VISIBLE for color in colors)
        return ENOUGH * min(max(several - 1, 0) / (_SEVERAL - 1), 1.0)
    if term.is_basic:
        return math.fsum(color["share"] for color in colors if color["name"] == term.name)
    values = np.array([palette.rgb_of(color["hex"][1:]) for color in colors], int).reshape(-1, 3)
    within = color_terms.memberships(term.shades, values)
    return float(within @ [color["share"] for color in colors]) if colors else 0.0
