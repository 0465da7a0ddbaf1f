"""The palette of the drawn products, and arithmetic with colors."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Field: TypeAlias = NDArray[np.floating[Any]]
"""Values (height, width), or colors from 0 to 1 (3, height, width). A single color is (3, 1, 1), so
that it mixes with fields by broadcasting."""

PALETTE: dict[str, dict[str, str]] = {
    "black": {"black": "#1b1b1d", "ink": "#191c22", "onyx": "#211f1e"},
    "white": {"white": "#fbfaf7", "ivory": "#f7f3ea", "chalk": "#f6f6f3"},
    "red": {"crimson": "#a81e2d", "poppy": "#cb3a33", "cherry": "#b92735", "ruby": "#8f1a2a"},
    "green": {"forest": "#2e6145", "fern": "#5b8f4c", "jade": "#3f8f6b", "moss": "#66803a"},
    "yellow": {"saffron": "#e6b422", "lemon": "#f0d358", "sunflower": "#edc436"},
    "blue": {"navy": "#22396b", "cobalt": "#2d5ca6", "sky": "#79a9d6", "marine": "#3f6ba3"},
    "brown": {"walnut": "#66432c", "chestnut": "#7a4a2d", "cocoa": "#553828", "cognac": "#8f5a34"},
    "purple": {"plum": "#5d3470", "violet": "#77509f", "lilac": "#a183c4"},
    "pink": {"rose": "#dd7f9a", "blush": "#efb3c0", "peony": "#d9648a"},
    "orange": {"tangerine": "#ea8a35", "pumpkin": "#d9702a", "apricot": "#f2a45c"},
    "grey": {"slate": "#6b6e73", "silver": "#a9abae", "ash": "#8b8d8f", "graphite": "#56595e"},
}
"""Shades by basic color term, each a clear example of its term."""

CREAM, INK = "#f4eee1", "#2a2d38"


def rgb(code: str) -> Field:
    """Parses "#rrggbb" into a color (3, 1, 1)."""
    levels = np.frombuffer(bytes.fromhex(code[1:]), np.uint8)
    return levels.astype(np.float32)[:, None, None] / 255


def luma(color: Field) -> float:
    """Returns the brightness from 0 to 1 (Rec. 601 weights)."""
    return float(color.ravel() @ np.array([0.299, 0.587, 0.114], np.float32))


def mix(base: Field, other: Field, cover: Field | float) -> Field:
    """Mixes two colors or fields: `base` where `cover` is 0, `other` where it is 1."""
    return base + (other - base) * (np.float32(cover) if isinstance(cover, float) else cover)


def seam_color(base: Field) -> Field:
    """Returns the color of a seam on `base`: darker, or lighter on near-black."""
    return mix(base, rgb(CREAM), 0.3) if luma(base) < 0.2 else base * np.float32(0.55)
