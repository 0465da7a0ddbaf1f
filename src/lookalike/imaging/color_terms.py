"""Color terms: the names that people give to colors, each with the region that they mean by it.

A term is a region of CIELAB, not one shade: what lies near one of its shades. The shades of the
eleven basic terms are in `palette`; those of about 130 names of fashion in `color_terms.csv`, where
most come from the color survey of 2010 (https://xkcd.com/color/rgb/, public domain: 222,500
people, who named colors on a screen) and the others are fabrics in photographs. Any other name of
CSS, and "#rrggbb", is a single shade.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from lookalike.imaging import palette

RGB = tuple[int, int, int]
"""sRGB, 0 to 255."""

MULTICOLOR = "multicolor"
"""The term for a picture with several colors."""

_MULTICOLOR_SYNONYMS = ("multicolored", "multicolour", "multi", "colorful")
_INSIDE = 5.0
_OUTSIDE = 10.0
"""Color differences from the nearest shade up to which a color belongs to a
term, and from which it does not."""
_LIGHT = 1.4
"""Divisor of differences in lightness, which light and folds change most."""
_STEP = 8
"""Width of the cubes of sRGB that have the same names."""
_SEPARATORS = re.compile(r"[\s_-]+")


@dataclass(frozen=True, slots=True)
class Term:
    """A term for a color.

    Attributes:
        name: its usual spelling.
        shades: sRGB, the most typical one first; empty for `MULTICOLOR`.
        is_basic: whether it is one of the eleven basic terms.
    """

    name: str
    shades: tuple[RGB, ...]
    is_basic: bool = False


def find(text: str) -> Term | None:
    """The term that a text names, in any case, singular or plural; None if it names no color.

    "#rrggbb" is a term of one shade.
    """
    name = _normalized(text)
    known = _terms()
    for spelling in (name, name.removesuffix("s"), re.sub("ies$", "y", name)):
        if spelling in known:
            return known[spelling]
    try:
        if name not in ImageColor.colormap and not name.startswith("#"):
            return None
        return Term(name, (ImageColor.getrgb(name)[:3],))
    except ValueError:
        return None


def similar_names(text: str) -> list[str]:
    """Names of colors that look like a text."""
    return get_close_matches(_normalized(text), [*_terms(), *ImageColor.colormap], n=3)


def memberships(shades: Sequence[RGB], colors: NDArray[np.integer]) -> NDArray[np.float64]:
    """(n,): the extent from 0 to 1 to which each color of (n, 3) belongs to a term's shades."""
    if not len(shades) or not len(colors):
        return np.zeros(len(colors))
    distances = _differences(palette.lab_of(np.array(shades)), palette.lab_of(colors)).min(axis=0)
    return np.asarray(np.clip((_OUTSIDE - distances) / (_OUTSIDE - _INSIDE), 0, 1), np.float64)


def terms_of(rgb: RGB) -> list[str]:
    """The names of fashion that a color belongs to; of colors that look the same, the same."""
    red, green, blue = (value // _STEP for value in rgb)
    return list(_terms_of_step(red, green, blue))


@lru_cache(maxsize=(256 // _STEP) ** 3)
def _terms_of_step(red: int, green: int, blue: int) -> tuple[str, ...]:
    """The names of the middle of a cube of colors; for each color by itself it takes 0.3 ms."""
    names, lab, starts = _fashion_shades()
    middle = np.array([[red, green, blue]]) * _STEP + _STEP // 2
    nearest = np.minimum.reduceat(_differences(lab, palette.lab_of(middle))[:, 0], starts)
    inside = nearest <= (_INSIDE + _OUTSIDE) / 2
    return tuple(name for name, fits in zip(names, inside, strict=True) if fits)


@cache
def _fashion_shades() -> tuple[list[str], NDArray[np.float32], list[int]]:
    """The names of fashion; CIELAB of all their shades; the place of the first of each name."""
    shades = [term.shades for term in _fashion().values()]
    starts = np.cumsum([0, *map(len, shades[:-1])]).tolist()
    lab = palette.lab_of(np.array([rgb for one in shades for rgb in one]))
    return list(_fashion()), lab, starts


@cache
def basic_terms(term: Term) -> tuple[str, ...]:
    """The basic terms whose colors may belong to a term: an image without any of them does not."""
    if term.is_basic:
        return (term.name,)
    grid = np.stack(np.meshgrid(*[np.arange(0, 256, 15)] * 3, indexing="ij"), -1).reshape(-1, 3)
    inside = np.concatenate([grid[memberships(term.shades, grid) > 0], np.array(term.shades)])
    names = {palette.color_term((int(r), int(g), int(b))) for r, g, b in inside}
    return tuple(name for name in palette.TERMS if name in names)


def _normalized(text: str) -> str:
    name = _SEPARATORS.sub(" ", text.strip().lower()).replace("gray", "grey")
    return name.replace("colour", "color")


@cache
def _terms() -> Mapping[str, Term]:
    """All terms by each of their spellings."""
    terms = {name: Term(name, shades, True) for name, shades in palette.SHADES.items()}
    several = Term(MULTICOLOR, ())
    terms |= dict.fromkeys((MULTICOLOR, *_MULTICOLOR_SYNONYMS), several)
    synonyms = {
        _normalized(word): term
        for term, words in zip(_fashion().values(), _synonyms().values(), strict=True)
        for word in words
    }
    # A name of CSS, such as "tomato", means its term of fashion where there is one.
    return synonyms | {_normalized(name): term for name, term in _fashion().items()} | terms


@cache
def _fashion() -> Mapping[str, Term]:
    return {
        row["term"]: Term(row["term"], tuple(map(palette.rgb_of, row["shades"].split())))
        for row in _rows()
    }


def _synonyms() -> Mapping[str, list[str]]:
    return {row["term"]: list(filter(None, row["synonyms"].split("|"))) for row in _rows()}


@cache
def _rows() -> Sequence[Mapping[str, str]]:
    text = files("lookalike.imaging").joinpath("color_terms.csv").read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _differences(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float64]:
    """(n, m): color differences in the manner of CIE94 between CIELAB colors (n, 3) and (m, 3)."""
    one, two = first[:, None].astype(np.float64), second[None].astype(np.float64)
    light = (one[..., 0] - two[..., 0]) / _LIGHT
    chroma = np.hypot(one[..., 1], one[..., 2]) - np.hypot(two[..., 1], two[..., 2])
    hue = np.maximum(((one[..., 1:] - two[..., 1:]) ** 2).sum(axis=-1) - chroma**2, 0)
    mean = np.sqrt(np.hypot(one[..., 1], one[..., 2]) * np.hypot(two[..., 1], two[..., 2]))
    parts = light**2 + (chroma / (1 + 0.03 * mean)) ** 2 + hue / (1 + 0.014 * mean) ** 2
    distances: NDArray[np.float64] = np.sqrt(parts)
    return distances
