"""Things for the home."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from lookalike.demo.drawing.outlines import Point, Points, band, both, box, ellipse, moved, trace
from lookalike.demo.drawing.parts import Part, Sketch, marks, pair, seam, shape, turned

# Outlines are tables of numbers; the formatter would put each corner on a line of its own.
# fmt: off


def mug(r: Random) -> Sketch:
    top, tall = r.uniform(24, 30), r.uniform(46, 60)
    low, rim = top * r.uniform(0.78, 1.0), r.uniform(4.2, 5.6)
    ring = trace((top - 3, tall * 0.18),
        (top + 22, tall * 0.1, top + 21, tall * 0.74, low - 3, tall * 0.8))
    half = trace((0, 0), (top, 0), (top, tall * 0.55, low, tall - 5),
        (low - 1, tall + rim * 0.3, low * 0.6, tall + rim * 0.7),
        (low * 0.3, tall + rim * 0.9, 0, tall + rim * 0.9))
    parts = [shape(band(ring, 6.4, 5.2), paint="plain", depth=2.2), turned(both(half), bulge=rim)]
    if r.random() < 0.35:
        foot = both(trace((0, tall - 9 + rim), (low * 0.6, tall - 9 + rim, low + 0.35, tall - 11),
            (low, tall - 5), (low - 1, tall + rim * 0.3, low * 0.6, tall + rim * 0.7),
            (0, tall + rim * 0.9)))
        parts.append(turned(foot, paint="clay"))
    parts.append(turned(ellipse(0, 0, top, rim), paint="plain"))
    parts.append(shape(ellipse(0, 0.5, top - 1.7, rim - 1.1), paint="inside", depth=1.6))
    if r.random() < 0.45:
        parts.append(shape(ellipse(0, 1.7, top - 3.6, rim - 2.2), paint="coffee", depth=1))
    return "mug", parts


def _profile(knots: list[Point]) -> Points:
    """Outlines half a turned form: a cubic Hermite spline through (y, radius) knots."""
    y, radius = np.array(knots).T
    spots = np.linspace(y[0], y[-1], 60)
    first = np.minimum(np.searchsorted(y, spots, side="right") - 1, len(y) - 2)
    step = y[first + 1] - y[first]
    t, slope = (spots - y[first]) / step, np.gradient(radius, y) * 0.9
    width = ((1 + 2 * t) * (1 - t) ** 2 * radius[first] + t * (1 - t) ** 2 * step * slope[
        first] + t**2 * (3 - 2 * t) * radius[first + 1] + t**2 * (t - 1) * step * slope[first + 1])
    side = np.stack([width, spots], axis=1)
    low = y[-1] + radius[-1] * 0.16
    foot = trace((radius[-1], y[-1]), (radius[-1] * 0.72, low, 0, low))
    return np.vstack([[0, y[0]], side, foot[1:]])


def vase(r: Random) -> Sketch:
    kind = r.choice(("bottle vase", "amphora vase", "bud vase", "cylinder vase"))
    tall = r.uniform(62, 78)
    belly = r.uniform(20, 27)
    knots: dict[str, list[Point]] = {"bottle vase": [(0, 8), (3, 6.5), (tall * 0.36, 6.5),
        (tall * 0.72, belly), (tall, belly * 0.62)], "amphora vase": [(0, 11), (4, 8.5),
        (tall * 0.16, 9), (tall * 0.45, belly + 2), (tall, 9.5)], "bud vase": [(0, 7),
        (tall * 0.18, 5), (tall * 0.5, belly), (tall * 0.9, belly * 0.55), (tall, belly * 0.6)],
        "cylinder vase": [(0, 17), (5, 15.5), (tall * 0.5, 18), (tall, 15)]}
    points = knots[kind]
    mouth = points[0][1]
    parts: list[Part] = []
    if r.random() < 0.55:
        parts += _stems(r, mouth)
    if kind == "amphora vase" and r.random() < 0.6:
        ear = trace((8, tall * 0.08), (26, tall * 0.04, 24, tall * 0.24, 15, tall * 0.3))
        parts += pair(shape(band(ear, 3.4), paint="plain", depth=1.4))
    rim = shape(ellipse(0, 0, mouth, mouth * 0.16), paint="inside", depth=0.8)
    parts += [turned(both(_profile(points)), bulge=2.2), rim]
    return kind, parts


def _stems(r: Random, mouth: float) -> list[Part]:
    parts: list[Part] = []
    for lean in (-0.9, -0.2, 0.45, 1.0):
        tip = (lean * r.uniform(14, 20), -r.uniform(20, 34))
        stem = trace((lean * mouth * 0.4, 4), (lean * 4, -16, *tip))
        parts.append(shape(band(stem, 0.9, 0.5), paint="stem", depth=0.4))
        leaves = []
        for i, at in enumerate(range(7, len(stem), 3)):
            x, y = stem[at]
            side = (-1) ** i
            reach = 6.5 - at * 0.12
            leaf = trace((x, y),
                (x + side * reach * 0.3, y - reach * 0.8, x + side * reach, y - reach * 0.75),
                (x + side * reach * 0.8, y + 0.4, x, y))
            leaves.append(leaf)
        parts.append(shape(*leaves, paint="leaf", depth=0.8))
    return parts


def chair(r: Random) -> Sketch:
    return r.choice((_armchair, _shell_chair, _dining_chair))(r)


def _armchair(r: Random) -> Sketch:
    wide, tall = r.uniform(30, 34), r.uniform(40, 50)
    leg = trace((wide - 7, 40), (wide - 2, 40), (wide - 0.5, 60), (wide - 3, 60))
    parts = pair(shape(leg, paint="wood", depth=0.9))
    back = both(trace((0, 40 - tall - 14), (wide * 0.7, 40 - tall - 14, wide - 3, 30 - tall),
        (wide - 2, 34), (0, 34)))
    parts.append(shape(back, depth=5))
    parts.append(shape(box(-wide + 2, 26, wide - 2, 45, 3), depth=3))
    parts.append(shape(box(-wide + 6, 14, wide - 6, 29, 5), depth=3.6))
    arm = trace((wide - 7, 10), (wide - 6, 3, wide, 3), (wide + 7, 3, wide + 6, 12),
        (wide + 4, 45), (wide - 5, 45))
    parts += pair(shape(arm, depth=3.2))
    if r.random() < 0.5:
        spots = [ellipse(x, 30 - tall * 0.72 + dy, 0.9) for dy in (0, 13) for x in (-14, 0, 14)]
        parts.append(marks(*spots))
    return "armchair", parts


_LEGS = [trace((x, 30), (x * 1.55, 66)) for x in (-13.0, 13.0)]
_REAR_LEGS = [trace((x, 30), (x * 1.18, 60)) for x in (-15.0, 15.0)]


def _shell_chair(r: Random) -> Sketch:
    frame = r.choice(("wood", "wood", "iron"))
    wide = r.uniform(24, 29)
    back = both(trace((0, -34), (wide * 0.8, -34, wide, -18), (wide + 2, 4, wide - 2, 24),
        (0, 30)))
    seat = both(trace((0, 16), (wide - 4, 15, wide + 3, 21), (wide + 5, 30, wide - 6, 33),
        (wide * 0.4, 35.5, 0, 35.5)))
    return "shell chair", [
        shape(*(band(leg, 3.0, 2.0) for leg in _REAR_LEGS), paint=frame, depth=0.8),
        shape(*(band(leg, 3.4, 2.2) for leg in _LEGS), paint=frame, depth=0.9),
        shape(back, depth=6),
        shape(seat, depth=4),
    ]


def _dining_chair(r: Random) -> Sketch:
    frame = r.choice(("wood", "wood", "iron"))
    wide = r.uniform(20, 24)
    posts = [trace((x, 26), (x * 1.02, -36)) for x in (-wide + 2, wide - 2)]
    back = both(trace((0, -37), (wide * 0.7, -37, wide + 1, -34), (wide + 1, -9),
        (wide * 0.5, -5, 0, -5)))
    seat = both(trace((0, 17), (wide - 3, 17), (wide + 4, 24), (wide + 7, 31, wide, 32.5),
        (wide * 0.5, 34, 0, 34)))
    return "dining chair", [
        shape(*(band(leg, 3.0, 2.0) for leg in _REAR_LEGS), paint=frame, depth=0.8),
        shape(*(band(post, 3.0, 2.6) for post in posts), paint=frame, depth=0.9),
        shape(back, depth=3.5),
        shape(*(band(leg * [1.25, 1], 3.2, 2.2) for leg in _LEGS), paint=frame, depth=0.9),
        shape(seat, depth=4),
    ]


def lamp(r: Random) -> Sketch:
    return r.choice((_table_lamp, _pendant_lamp, _desk_lamp))(r)


def _table_lamp(r: Random) -> Sketch:
    top, low, tall = r.uniform(13, 21), r.uniform(25, 30), r.uniform(28, 36)
    base = [(tall - 1, 3.0), (tall + 7, 3.0), (tall + 22, r.uniform(8, 15)), (tall + 38,
        r.uniform(8, 12))]
    shade = both(trace((0, -1), (top * 0.5, -1, top, 0), (low, tall),
        (low * 0.5, tall + 4, 0, tall + 4)))
    parts = [turned(both(_profile(base)), paint=r.choice(("plain", "plain", "wood", "clay"))),
        turned(shade, bulge=3)]
    parts.append(seam(trace((-low, tall - 1.6), (0, tall + 6, low, tall - 1.6)), trace(
        (-top, 1.4), (0, 0.4, top, 1.4)), width=0.8))
    return "table lamp", [*parts, shape(both(_profile([(tall + 37, 11), (tall + 40, 13)])),
        paint="brass", depth=0.8)]


def _pendant_lamp(r: Random) -> Sketch:
    wide, tall = r.uniform(32, 40), r.uniform(26, 38)
    parts = [shape(band(trace((0, -44), (0, 2)), 1.0), paint="iron", depth=0.4)]
    parts.append(turned(box(-4, -4, 4, 6, 1.6), paint="brass"))
    bulb = ellipse(0, tall + 1, 8, 7)
    dome = both(trace((0, 2), (5, 2), (wide * 0.55, 4, wide * 0.9, tall * 0.4, wide, tall),
        (wide * 0.5, tall + 4, 0, tall + 4)))
    parts += [shape(bulb, paint="glow", depth=3), turned(dome, bulge=3)]
    return "pendant lamp", [*parts, seam(trace((-wide, tall - 1), (0, tall + 6, wide, tall - 1)),
        width=0.9)]


def _desk_lamp(r: Random) -> Sketch:
    arm = trace((-16, 62), (-24, 20), (6, -8))
    parts = [turned(moved(both(trace((0, 60), (17, 60, 19, 66), (19, 69), (0, 70))), -16, 0),
        paint="plain")]
    parts.append(shape(band(arm[:2], 2.8), band(arm[1:], 2.8), paint=r.choice(
        ("brass", "iron", "plain")), depth=0.8))
    parts.append(shape(ellipse(-24, 20, 3.2), paint="brass", depth=1))
    tilt = math.radians(-38)
    spin = np.array([[math.cos(tilt), math.sin(tilt)], [-math.sin(tilt), math.cos(tilt)]])
    head = both(trace((0, -9), (19, -8, 24, 20), (12, 26, 0, 26))) @ spin + np.array([8, -10])
    glow = ellipse(0, 22.5, 21, 6) @ spin + np.array([8, -10])
    return "desk lamp", [*parts, shape(glow, paint="glow", depth=2), shape(head, depth=7)]


def cushion(r: Random) -> Sketch:
    kind = r.choice(("cushion", "lumbar cushion", "round cushion"))
    if kind == "round cushion":
        size = r.uniform(36, 42)
        parts = [shape(ellipse(0, 0, size, size * 0.97), depth=9)]
        parts.append(seam(ellipse(0, 0, size * 0.93, size * 0.9), width=0.7))
        pleats = []
        for angle in np.linspace(0, 2 * math.pi, 18, endpoint=False):
            way = np.array([math.cos(angle), math.sin(angle)])
            pleats.append(band(np.stack([way * 4, way * size * 0.5]), 1.4, 0.2))
        parts.append(Part(tuple(pleats), "shade", "flat"))
        return kind, [*parts, shape(ellipse(0, 0, 3.4), paint="plain", depth=1.4)]
    wide = 40.0 if kind == "cushion" else 50.0
    tall, pinch = (40.0 if kind == "cushion" else 29.0), r.uniform(3, 6)
    outline = trace((-wide, -tall), (-wide * 0.5, -tall + pinch, 0, -tall + pinch),
        (wide * 0.5, -tall + pinch, wide, -tall), (wide - pinch, -tall * 0.5, wide - pinch, 0),
        (wide - pinch, tall * 0.5, wide, tall), (wide * 0.5, tall - pinch, 0, tall - pinch),
        (-wide * 0.5, tall - pinch, -wide, tall), (-wide + pinch, tall * 0.5, -wide + pinch, 0),
        (-wide + pinch, -tall * 0.5, -wide, -tall))
    edge = r.choice(("piping", "tassels", "plain"))
    parts = []
    if edge == "tassels":
        for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
            tuft = trace((x * (wide - 1), y * (tall - 1)), (x * (wide + 7), y * (tall + 7)))
            parts += [shape(band(tuft, 2.2, 5.6), paint="trim", depth=1.4)]
    if edge == "piping":
        parts.append(shape(outline * [1.028, 1.032], paint="trim", depth=1))
    return kind, [*parts, shape(outline, depth=9)]
