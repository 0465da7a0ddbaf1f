"""Bags, hats and watches."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from lookalike.demo.drawing.outlines import Points, band, both, box, ellipse, flip, moved, trace
from lookalike.demo.drawing.parts import Part, Sketch, marks, pair, seam, shape, stitches

# Outlines are tables of numbers; the formatter would put each corner on a line of its own.
# fmt: off


def handbag(r: Random) -> Sketch:
    return r.choice((_tote_bag, _satchel, _hobo_bag))(r)


def _tote_bag(r: Random) -> Sketch:
    top, low, tall = r.uniform(33, 38), r.uniform(29, 36), r.uniform(52, 62)
    handle = trace((13, 8), (12, -34, 0, -34))
    arc = np.vstack([handle, flip(handle)[1:]])
    half = trace((0, 0), (top, 0), (low, tall - 3), (low, tall, low - 4, tall), (0, tall))
    parts = [shape(band(arc * [0.9, 1.04], 2.6), paint="deep", depth=0.9)]
    parts += [shape(both(half), depth=4), seam(trace((-top, 3.6), (top, 3.6)))]
    parts.append(shape(band(arc, 3.0), paint="strap", depth=0.9))
    tabs = trace((10.8, 2), (15.4, 2), (15.2, 13), (13, 15), (10.8, 13))
    parts += pair(shape(tabs, paint="strap", depth=0.8)) + pair(marks(ellipse(13, 10.5, 0.9),
        paint="metal"))
    return "tote bag", parts


def _satchel(r: Random) -> Sketch:
    wide, tall = r.uniform(33, 39), r.uniform(44, 52)
    handle = trace((17, 4), (16, -20, 0, -20))
    arc = np.vstack([handle, flip(handle)[1:]])
    flap = trace((0, 0), (wide - 3, 0), (wide + 0.6, 0, wide + 0.6, 5), (wide, tall * 0.5),
        (wide * 0.6, tall * 0.66, 0, tall * 0.66))
    parts = [shape(band(arc, 3.4), paint="strap", depth=1.1)]
    parts += pair(marks(ellipse(17, 2.5, 2.2), paint="metal"))
    parts += [shape(box(-wide, 0, wide, tall, 7), depth=4), shape(both(flap), depth=2.5)]
    parts.append(stitches(both(flap) * [0.955, 0.955]))
    clasp = box(-4.5, tall * 0.66 - 8, 4.5, tall * 0.66 + 3, 1.6)
    parts += [shape(clasp, paint="metal", depth=1), marks(ellipse(0, tall * 0.66 - 2.6, 1.3),
        paint="sole")]
    return "satchel", parts


def _hobo_bag(r: Random) -> Sketch:
    wide, tall = r.uniform(36, 42), r.uniform(46, 54)
    half = trace((0, 18), (wide * 0.6, 16, wide - 2, -4), (wide + 5, 12, wide + 2, 32),
        (wide - 4, tall + 4, 0, tall + 4))
    strap = trace((wide - 3, -2), (wide * 0.55, -42, 0, -42))
    arc = np.vstack([strap, flip(strap)[1:]])
    parts = [shape(band(arc, 4.2), paint="strap", depth=1.4), shape(both(half), depth=5)]
    zip_line = trace((-wide + 8, 6), (-wide * 0.4, 22, 0, 22), (wide * 0.4, 22, wide - 8, 6))
    parts += [seam(zip_line, width=1.0), stitches(moved(zip_line, 0, 2.4))]
    parts += pair(marks(ellipse(wide - 2.5, -2, 2.4), paint="metal"))
    return "hobo bag", parts


def backpack(r: Random) -> Sketch:
    wide, tall = r.uniform(28, 33), r.uniform(70, 80)
    rolled = r.random() < 0.4
    handle = trace((8, 4), (8, -9, 0, -9))
    arc = np.vstack([handle, flip(handle)[1:]])
    strap = trace((wide - 9, 6), (wide + 10, 12, wide + 3, tall * 0.55), (wide + 1, tall - 8))
    parts = [shape(band(arc, 2.8), paint="strap", depth=0.9)]
    parts += pair(shape(band(strap, 4.6, 3.4), paint="deep", depth=1.3))
    side = trace((wide - 4, tall * 0.5), (wide + 6, tall * 0.55, wide + 5, tall - 4),
        (wide - 4, tall))
    parts += pair(shape(side, paint="deep", depth=2))
    half = trace((0, 0), (wide * 0.5, 0), (wide, 1, wide, 22),
        (wide + 1.5, tall * 0.6, wide, tall - 7), (wide - 1, tall, wide - 8, tall), (0, tall))
    parts.append(shape(both(half), depth=5))
    if rolled:
        flap = trace((0, -1), (wide * 0.55, -1), (wide + 1.4, 0, wide + 1, 20),
            (wide, 34, wide - 4, 34), (0, 36))
        parts += [shape(both(flap), depth=3), stitches(both(flap) * [0.94, 0.96])]
        for x in (-12.0, 12.0):
            belt = box(x - 2, 14, x + 2, 46, 0.8)
            parts += [shape(belt, paint="strap", depth=0.8), seam(box(x - 3, 34, x + 3, 40, 1),
                width=1.2, paint="metal")]
    else:
        opening = trace((wide - 2, 34), (wide - 3, 5, 0, 5))
        zip_line = np.vstack([opening, flip(opening)[1:]])
        parts += [seam(zip_line, width=1.1), stitches(zip_line * [0.95, 1] + [0, 2])]
        parts.append(marks(band(trace((wide - 2, 34), (wide - 2.4, 40)), 1.7), paint="metal"))
    low = 44.0
    pocket = box(-wide + 5, low, wide - 5, tall - 4, 6)
    parts += [shape(pocket, depth=2.6), seam(trace((-wide + 7, low + 6),
        (0, low + 7.5, wide - 7, low + 6)), width=1.0)]
    if not rolled:
        parts.append(shape(box(-6, 24, 6, 33, 1.2), paint="strap", depth=0.8))
        parts.append(stitches(box(-5, 25, 5, 32, 0.8), paint="cord"))
    return ("flap backpack" if rolled else "backpack"), parts


def hat(r: Random) -> Sketch:
    return r.choice((_baseball_cap, _beanie, _fedora, _sun_hat))(r)


def _baseball_cap(r: Random) -> Sketch:
    crown = trace((-30, 22), (-33, -14, -2, -16), (26, -16, 30, 18), (0, 29, -30, 22))
    visor = trace((8, 24), (30, 12, 34, 14), (56, 18, 62, 27), (60, 33, 50, 31),
        (28, 26, 6, 30))
    parts = [shape(visor, paint=r.choice(("plain", "trim")), depth=2), shape(crown, depth=7)]
    parts.append(seam(trace((-1, -16), (12, -2, 13, 25)), trace((-1, -16),
        (-18, -6, -19, 24.5))))
    parts.append(stitches(trace((14, 26), (34, 16, 58, 28))))
    return "baseball cap", [*parts, shape(ellipse(-1, -16, 3, 1.8), paint="plain", depth=1)]


def _beanie(r: Random) -> Sketch:
    tall = r.uniform(34, 44)
    half = trace((0, -tall), (21, -tall, 29, -tall * 0.35, 30, 10), (0, 12))
    parts = [shape(both(half), depth=7)]
    if r.random() < 0.5:
        rays = np.linspace(0, 2 * np.pi, 120, endpoint=False)
        fluff = 9 + 1.1 * np.cos(rays * 23) + 0.6 * np.cos(rays * 37 + 1)
        pompom = np.stack([fluff * np.cos(rays), -tall - 6 + fluff * np.sin(rays)], axis=1)
        parts.insert(0, shape(pompom, paint=r.choice(("trim", "plain")), depth=4))
    parts.append(shape(box(-32, 4, 32, 21, 5), paint="plain", depth=3))
    ribs = [trace((x, 5.5), (x * 1.01, 19.5)) for x in np.arange(-29, 30, 2.9)]
    return "beanie", [*parts, seam(*ribs, width=0.6)]


def _fedora(r: Random) -> Sketch:
    half = trace((0, -24), (12, -33, 20, -26), (26, -12, 28, 14), (14, 19, 0, 19))
    brim, crown, ribbon = _brimmed(r.uniform(50, 56), 12.0, half)
    crease = both(trace((0, -25), (7, -27, 10, -20), (5, -8, 0, -4)))
    return "fedora", [brim, crown, Part((crease,), "shade", "flat"), ribbon]


def _sun_hat(r: Random) -> Sketch:
    half = trace((0, -25), (24, -25, 27, 14), (14, 19, 0, 19))
    return "sun hat", _brimmed(r.uniform(58, 66), 9.0, half)


def _brimmed(wide: float, dip: float, half: Points) -> list[Part]:
    """Draws brim, crown and ribbon of a hat. `half` is the right half of the crown."""
    brim = both(trace((0, 8), (wide * 0.6, 7, wide, 16 - dip * 0.5),
        (wide + 2, 20, wide * 0.7, 24), (wide * 0.3, 28, 0, 28)))
    ribbon = both(trace((0, 9), (16, 9, 27.2, 4), (28, 14), (14, 19, 0, 19)))
    return [shape(brim, depth=4), shape(both(half), depth=7),
        shape(ribbon, paint="trim", depth=1.4)]


def watch(r: Random) -> Sketch:
    round_case, size = r.random() < 0.7, r.uniform(18, 22)
    metal = r.choice(("metal", "brass"))
    width = size * r.uniform(0.52, 0.66)
    upper = both(trace((0, -52), (width * 0.8, -52), (width * 0.8 + 1, -40, width, -size + 4),
        (0, -size + 4)))
    lower = both(trace((0, size - 4), (width, size - 4), (width * 0.86, 44, width * 0.78, 52),
        (width * 0.7, 60, 0, 61)))
    parts = [shape(upper, depth=3), shape(lower, depth=3)]
    parts += [stitches(upper * [0.84, 0.985]), stitches(lower * [0.84, 0.985])]
    parts.append(marks(*(ellipse(0, y, 1.1) for y in (36.0, 41.5, 47.0, 52.5)), paint="inside"))
    buckle = box(-width * 0.8 - 3, -57, width * 0.8 + 3, -48, 2.4)
    parts += [shape(band(np.vstack([buckle, buckle[:1]]), 2.2), paint=metal, depth=0.8)]
    parts.append(shape(box(size - 1, -2.6, size + 4.4, 2.6, 1), paint=metal, depth=0.8))

    def face(reach: float) -> Points:
        square = box(-reach * 0.84, -reach, reach * 0.84, reach, 5)
        return ellipse(0, 0, reach) if round_case else square

    parts += [shape(face(size + 1.5), paint=metal, depth=2.2), shape(face(size - 2), paint="plain",
        depth=1.2)]
    count = r.choice((4, 12))
    ticks: list[Points] = []
    for hour in range(count):
        angle = hour / count * 2 * math.pi
        way = np.array([math.sin(angle), -math.cos(angle)]) * (1 if round_case else 0.84)
        ticks.append(band(np.stack([way * (size - 6.6), way * (size - 3.6)]), 1.1))
    hands = []
    for angle, length, thick in ((r.uniform(5.0, 5.6), 0.42, 1.8), (r.uniform(0.6, 1.2), 0.62,
        1.3)):
        way = np.array([math.sin(angle), -math.cos(angle)]) * size * length
        hands.append(band(np.stack([-way * 0.15, way]), thick))
    parts += [marks(*ticks, *hands, paint="dial"), marks(ellipse(0, 0, 1.5), paint=metal)]
    return "watch", parts
