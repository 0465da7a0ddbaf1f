"""Outlines of product parts: polygons with curves.

Coordinates are *product units*: y grows downward and a product is 60 to 100 units large. A pose
decides where the product lies in the picture and at which size.
"""

from __future__ import annotations

import math
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Point: TypeAlias = tuple[float, float]
"""x and y."""

Points: TypeAlias = NDArray[np.float64]
"""(n, 2) points, x before y."""


def trace(start: Point, *steps: tuple[float, ...]) -> Points:
    """Draws a path of straight lines and Bézier curves.

    Args:
        start: first point of the path.
        steps: (x, y) adds a straight line, (cx, cy, x, y) a quadratic curve and
            (cx, cy, dx, dy, x, y) a cubic curve.
    """
    path = [np.array([start], float)]
    for step in steps:
        hull = np.vstack([path[-1][-1:], np.reshape(step, (-1, 2))])
        degree = len(hull) - 1
        t = np.linspace(0, 1, 2 if degree == 1 else 20)[1:, None]
        path.append(
            np.sum(
                [
                    math.comb(degree, i) * t**i * (1 - t) ** (degree - i) * hull[i]
                    for i in range(degree + 1)
                ],
                axis=0,
            )
        )
    return np.vstack(path)


def flip(points: Points) -> Points:
    """Mirrors points across x = 0 and reverses their order."""
    return points[::-1] * [-1, 1]


def moved(points: Points, x: float, y: float) -> Points:
    """Shifts points."""
    return np.add(points, [x, y])


def both(half: Points) -> Points:
    """Completes a symmetric outline from its right half, which begins and ends at x = 0."""
    return np.vstack([half, flip(half)])


def band(line: Points, width: float, end: float | None = None) -> Points:
    """Outlines a strip along a line, with the width `width`, or tapering from there to `end`."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    half = np.linspace(width, width if end is None else end, len(line))[:, None] / 2
    normal = along[:, ::-1] * [-1, 1] * half
    return np.vstack([line + normal, (line - normal)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    """Outlines an ellipse around (x, y), or a circle if there is no `ry`."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + (rx if ry is None else ry) * np.sin(t)], axis=1)


def box(x0: float, y0: float, x1: float, y1: float, r: float = 1.0) -> Points:
    """Outlines a rectangle whose corners are rounded with the radius `r`."""
    return trace(
        (x0 + r, y0),
        (x1 - r, y0),
        (x1, y0, x1, y0 + r),
        (x1, y1 - r),
        (x1, y1, x1 - r, y1),
        (x0 + r, y1),
        (x0, y1, x0, y1 - r),
        (x0, y0 + r),
        (x0, y0, x0 + r, y0),
    )
