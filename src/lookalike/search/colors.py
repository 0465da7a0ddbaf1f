"""Colors in words: "navy", "#1a2b3c", "navy=0.6", "blue", and palettes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

from lookalike.errors import QueryError
from lookalike.imaging.color_terms import RGB
from lookalike.search.color_gate import term_of
from lookalike.search.request import ColorInput


def parse_palette(colors: ColorInput) -> list[tuple[RGB, float]]:
    """The colors with their shares, which add up to 1, as a color descriptor takes them.

    Shares count in proportion to each other. Colors without one divide the rest of 1 equally; a
    basic term ("blue") divides its share among its shades; "navy" is its most typical shade.

    Raises:
        QueryError: a name is not that of a color, a share is not above 0, or the shares leave
            nothing for the colors without one.
    """
    shares = _shares(colors)
    without = [name for name, share in shares if share is None]
    most = max((share for _, share in shares if share is not None), default=0.0)
    if not without:  # before the sum, which may be too large for a float
        shares = [(name, (share or 0.0) / most) for name, share in shares]
    total = sum(share for _, share in shares if share is not None)
    if without and total >= 1:
        raise QueryError(
            f"The shares of the colors add up to {total:g} and leave nothing for {without[0]}: "
            "give it a share too, or the others less."
        )
    rest = (1 - total) / len(without) if without else 0.0
    whole = 1.0 if without else total
    terms = [(_typical(name), (rest if share is None else share) / whole) for name, share in shares]
    return [(rgb, share / len(several)) for several, share in terms for rgb in several]


def _shares(colors: ColorInput) -> list[tuple[str, float | None]]:
    if isinstance(colors, Mapping):
        shares: list[tuple[str, float | None]] = [(name, share) for name, share in colors.items()]
    else:
        shares = [_split(text) for text in ([colors] if isinstance(colors, str) else colors)]
    for name, share in shares:
        if share is not None and not (math.isfinite(share) and share > 0):
            raise QueryError(f"The share of {name} is {share:g}: give a number above 0.")
    return shares


def _split(text: str) -> tuple[str, float | None]:
    name, equals, share = text.partition("=")
    try:
        return name.strip(), float(share) if equals else None
    except ValueError:
        raise QueryError(
            f"{text!r} is not a color with a share: write it as in navy=0.6."
        ) from None


def shades(text: str) -> tuple[RGB, ...]:
    """The shades that a color stands for, the most typical one first.

    A term ("blue", "navy") stands for all its shades, "#rrggbb" for just that one.

    Raises:
        QueryError: the text names no color, or not one of any shade.
    """
    term = term_of(text)
    if not term.shades:
        raise QueryError(f"{term.name} has no shade: give it without shares and weights.")
    return term.shades


def _typical(text: str) -> tuple[RGB, ...]:
    several = shades(text)
    return several if term_of(text).is_basic else several[:1]


def swatches(colors: ColorInput) -> list[str]:
    """Each color as "#rrggbb", to show the palette of a search.

    Raises:
        QueryError: a name is not that of a color.
    """
    terms = [term_of(name) for name, _ in _shares(colors)]
    return ["#{:02x}{:02x}{:02x}".format(*term.shades[0]) for term in terms if term.shades]


def describe(colors: ColorInput) -> str:
    """The palette in words."""
    return " and ".join(
        name if share is None else f"{name}={share:g}" for name, share in _shares(colors)
    )
