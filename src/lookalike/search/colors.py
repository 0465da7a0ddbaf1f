"""Colors in words: "navy", "#1a2b3c", "navy=0.6", "blue", and palettes of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from PIL import ImageColor

from lookalike.errors import QueryError
from lookalike.imaging import palette

RGB: TypeAlias = tuple[int, int, int]
"""sRGB, 0 to 255."""

ColorInput: TypeAlias = str | Sequence[str] | Mapping[str, float]
"""One color; several, each with a share ("navy=0.6") or without; or shares by name."""


def parse_palette(colors: ColorInput) -> list[tuple[RGB, float]]:
    """The colors with their shares, which add up to 1: what a color descriptor takes.

    Shares count in proportion to each other. Colors without one divide what the others leave of
    1 equally; a basic term ("blue") divides its share among its shades.

    Raises:
        QueryError: one of them is no color, a share is not above 0, or the shares leave nothing
            for the colors without.
    """
    given = _shares(colors)
    without = [name for name, share in given if share is None]
    total = math.fsum(share for _, share in given if share is not None)
    if without and total >= 1:
        raise QueryError(
            f"The colors' shares add up to {total:g} and leave nothing for {without[0]}: give it "
            "a share too, or the others less."
        )
    rest = (1 - total) / len(without) if without else 0.0
    whole = 1.0 if without else total
    meant = [(shades(name), (rest if share is None else share) / whole) for name, share in given]
    return [(rgb, share / len(several)) for several, share in meant for rgb in several]


def _shares(colors: ColorInput) -> list[tuple[str, float | None]]:
    if isinstance(colors, Mapping):
        given: list[tuple[str, float | None]] = [(name, share) for name, share in colors.items()]
    else:
        given = [_pair(text) for text in ([colors] if isinstance(colors, str) else colors)]
    for name, share in given:
        if share is not None and not (math.isfinite(share) and share > 0):
            raise QueryError(f"The share of {name} is {share:g}: give a number above 0.")
    return given


def _pair(text: str) -> tuple[str, float | None]:
    name, equals, share = text.partition("=")
    try:
        return name.strip(), float(share) if equals else None
    except ValueError:
        raise QueryError(f"{text!r} is no color with a share: write it as in navy=0.6.") from None


def shades(text: str) -> tuple[RGB, ...]:
    """What a color means, the most typical shade first.

    One of the eleven basic terms ("blue") means all of its shades, any other CSS name ("navy")
    or "#rrggbb" just that one.

    Raises:
        QueryError: it is none of these.
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
    """Each color as "#rrggbb", to show what was asked for.

    Raises:
        QueryError: one of them is no color.
    """
    return ["#{:02x}{:02x}{:02x}".format(*shades(name)[0]) for name, _ in _shares(colors)]


def describe(colors: ColorInput) -> str:
    """What was asked for, in words."""
    return " and ".join(
        name if share is None else f"{name}={share:g}" for name, share in _shares(colors)
    )
