"""Colors in words: "navy", "#1a2b3c", "navy=0.6", "blue", and palettes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from typing import TypeAlias

from PIL import ImageColor

from lookalike.errors import QueryError
from lookalike.imaging import palette
from lookalike.search.request import ColorInput

RGB: TypeAlias = tuple[int, int, int]
"""sRGB, 0 to 255."""


def parse_palette(colors: ColorInput) -> list[tuple[RGB, float]]:
    """The colors with their shares, which add up to 1, as a color descriptor takes them.

    Shares count in proportion to each other. Colors without one divide the rest of 1 equally; a
    basic term ("blue") divides its share among its shades.

    Raises:
        QueryError: a name is not that of a color, a share is not above 0, or the shares leave
            nothing for the colors without one.
    """
    shares = _shares(colors)
    without = [name for name, share in shares if share is None]
    total = math.fsum(share for _, share in shares if share is not None)
    if without and total >= 1:
        raise QueryError(
            f"The shares of the colors add up to {total:g} and leave nothing for {without[0]}: "
            "give it a share too, or the others less."
        )
    rest = (1 - total) / len(without) if without else 0.0
    whole = 1.0 if without else total
    terms = [(shades(name), (rest if share is None else share) / whole) for name, share in shares]
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

    One of the eleven basic terms ("blue") stands for all its shades, any other CSS name ("navy")
    or "#rrggbb" for just that one.

    Raises:
        QueryError: the text is none of these.
    """
    name = text.strip().lower().replace("gray", "grey")
    if name in palette.SHADES:
        return palette.SHADES[name]
    try:
        if name not in ImageColor.colormap and not name.startswith("#"):
            raise ValueError(name)
        return (ImageColor.getrgb(name)[:3],)
    except ValueError:
        near = get_close_matches(name, ImageColor.colormap, n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "try red, navy or #1a2b3c."
        raise QueryError(f"There is no color {text!r}; {hint}") from None


def swatches(colors: ColorInput) -> list[str]:
    """Each color as "#rrggbb", to show the palette of a search.

    Raises:
        QueryError: a name is not that of a color.
    """
    return ["#{:02x}{:02x}{:02x}".format(*shades(name)[0]) for name, _ in _shares(colors)]


def describe(colors: ColorInput) -> str:
    """The palette in words."""
    return " and ".join(
        name if share is None else f"{name}={share:g}" for name, share in _shares(colors)
    )
