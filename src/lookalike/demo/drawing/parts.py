"""Parts of products: outlines with a paint and a form."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np

from lookalike.demo.drawing.outlines import Points, band, flip


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a product, painted over the parts before it.

    Attributes:
        outlines: closed polygons.
        paint: name of one of the product's paints.
        form: its shape under light: "soft" like cloth, "round" like a vase, or "flat".
        turn: angle of its cloth in degrees, such as that of a sleeve.
        depth: width in units over which a soft edge curves away.
        bulge: units by which rings around a round form dip in the middle.
    """

    outlines: tuple[Points, ...]
    paint: str = "body"
    form: Literal["soft", "round", "flat"] = "soft"
    turn: float = 0.0
    depth: float = 3.0
    bulge: float = 0.0


def shape(*outlines: Points, paint: str = "body", depth: float = 3.0, turn: float = 0.0) -> Part:
    """Makes a soft part."""
    return Part(outlines, paint, "soft", turn, depth)


def turned(outline: Points, paint: str = "body", bulge: float = 0.0) -> Part:
    """Makes a part that is round about its vertical axis."""
    return Part((outline,), paint, "round", bulge=bulge)


def marks(*outlines: Points, paint: str = "seam") -> Part:
    """Makes flat details: buttons, eyelets, holes."""
    return Part(outlines, paint, "flat")


def seam(*lines: Points, width: float = 0.5, paint: str = "seam") -> Part:
    """Draws lines on the parts below."""
    return Part(tuple(band(line, width) for line in lines), paint, "flat")


def stitches(*lines: Points, width: float = 0.45, paint: str = "seam") -> Part:
    """Draws dashed lines on the parts below."""
    dashes: list[Points] = []
    for line in lines:
        at = np.r_[0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))]
        for start in np.arange(0, at[-1] - 1.0, 1.9):
            spots = np.linspace(start, start + 1.0, 3)
            dash = np.stack([np.interp(spots, at, line[:, i]) for i in (0, 1)], axis=1)
            dashes.append(band(dash, width))
    return Part(tuple(dashes), paint, "flat")


def pair(part: Part) -> list[Part]:
    """Returns a part and its mirror image."""
    return [part, replace(part, outlines=tuple(map(flip, part.outlines)), turn=-part.turn)]


Sketch: TypeAlias = tuple[str, list[Part]]
"""The name of a product, as in a shop, and its parts from back to front."""
