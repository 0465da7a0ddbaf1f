"""Shoes."""

from __future__ import annotations

from random import Random

import numpy as np

from lookalike.demo.drawing.outlines import band, ellipse, moved, trace
from lookalike.demo.drawing.parts import Sketch, marks, seam, shape, stitches

# Outlines are tables of numbers; the formatter would put each corner on a line of its own.
# fmt: off


def sneaker(r: Random) -> Sketch:
    high, chunky = r.random() < 0.35, r.uniform(0, 3.5)
    lift = 15.0 if high else -5.0
    upper = trace((4, 46), (0, 34, 5, 16 - lift), (10, 11 - lift, 14, 15 - lift * 0.95),
        (22, 22 - lift, 33, 11 - lift), (38, 8 - lift, 41, 12 - lift),
        (45, 18 - lift * 0.5, 62, 26), (72, 29, 82, 30), (95, 32, 98, 47))
    tongue = trace((28, 14 - lift), (33, 3 - lift, 40, 2 - lift), (45, 5 - lift, 44, 14 - lift),
        (50, 26), (36, 28))
    mouth = trace((5.4, 16 - lift), (14, 10 - lift, 34, 10 - lift), (30, 24 - lift, 16, 21 - lift),
        (9, 20 - lift, 5.4, 16 - lift))
    parts = [shape(tongue, paint="plain", depth=2), shape(mouth, paint="inside", depth=2)]
    parts.append(shape(upper, depth=4))
    toe = trace((78, 47), (74, 36, 81, 30.2), (95, 32, 98, 47))
    parts.append(shape(toe, paint=r.choice(("plain", "trim", "rubber")), depth=2))
    heel = trace((4, 46), (0, 34, 5, 16 - lift), (8, 12.5 - lift, 11, 13.4 - lift),
        (13, 30, 22, 46))
    parts.append(shape(heel, paint=r.choice(("plain", "trim")), depth=1.8))
    eyestay = trace((34, 11 - lift), (41, 12 - lift), (45, 18 - lift * 0.5, 62, 26), (67, 30),
        (60, 35), (47, 31, 37, 20 - lift * 0.6))
    lower = eyestay[-len(eyestay) // 3 :]
    parts += [shape(eyestay, paint="plain", depth=1.2), stitches(moved(lower, 0.6, -1.2))]
    accent = r.random()
    if accent < 0.4:
        bars = [trace((x, 44), (x + 8, 32 - lift * 0.2)) for x in (32.0, 38.0, 44.0)]
        parts.append(shape(*(band(bar, 2.6) for bar in bars), paint="trim", depth=0.8))
    elif accent < 0.7:
        wave = trace((20, 40), (36, 46, 62, 31))
        parts.append(shape(band(wave, 1.6, 4.4), paint="trim", depth=0.8))
    count = 7 if high else 5
    for t in np.linspace(0.08, 0.92, count):
        x, y = 39 + t * 21, 12 - lift + t * (14 + lift)
        lace = trace((x - 4.4, y + 5.2), (x - 1, y - 0.5, x + 3.6, y - 1.4))
        parts.append(shape(band(lace, 1.9), paint="cord", depth=0.6))
    sole = trace((2, 44.5), (50, 46.5, 99, 44.0), (102, 49 + chunky * 0.4, 97, 53 + chunky),
        (50, 54 + chunky, 5, 53 + chunky), (0.5, 51, 2, 44.5))
    parts.append(shape(sole, paint="rubber", depth=1.8))
    parts.append(seam(trace((3, 50 + chunky * 0.6),
        (50, 51.5 + chunky * 0.6, 98, 50 + chunky * 0.6)), paint="shade"))
    return ("high-top sneaker" if high else "sneaker"), parts


def boot(r: Random) -> Sketch:
    kind = r.choice(("chelsea boot", "lace-up boot", "knee boot"))
    top = {"chelsea boot": 18.0, "lace-up boot": 8.0, "knee boot": -26.0}[kind] + r.uniform(-3, 3)
    heel = r.uniform(3.5, 6)
    shaft = trace((7, 78), (4, 62, 9, 50), (9, 36, 7, top), (22, top - 2.5, 37, top + 1),
        (36, 36, 39, 48), (46, 57, 66, 60), (87, 62, 92, 79))
    mouth = trace((7, top), (22, top - 2.5, 37, top + 1), (22, top + 4, 7, top))
    loop = trace((9, top + 4), (9, top - 7, 14, top - 7), (14, top + 4))
    parts = [shape(band(loop, 1.6), paint="trim", depth=0.6), shape(shaft, depth=5)]
    parts.append(shape(mouth, paint="inside", depth=1))
    if kind == "chelsea boot":
        gore = trace((17, top + 1), (28, top + 1.2), (29, 38, 26, 50), (18, 50),
            (16, 38, 17, top + 1))
        parts.append(shape(gore, paint="deep", depth=1))
        ribs = [trace((x, top + 2), (x + 0.3, 49)) for x in np.arange(18.5, 27, 1.7)]
        parts.append(seam(*ribs, width=0.35))
    elif kind == "lace-up boot":
        throat = trace((34, top + 2), (33, 40, 38, 50), (45, 58, 57, 60))
        parts.append(seam(moved(throat, -4, 2), width=0.6))
        for t in np.linspace(0.03, 0.97, 8):
            x, y = throat[int(t * (len(throat) - 1))]
            lace = trace((x - 6.5, y + 3.6), (x - 2, y - 1, x + 1.2, y - 0.2))
            parts.append(shape(band(lace, 1.5), paint="cord", depth=0.5))
            parts.append(marks(ellipse(x - 6.5, y + 3.6, 1.0), paint="metal"))
    else:
        parts.append(seam(trace((23, top + 3), (25, 30, 22, 70)), width=0.6))
        parts.append(stitches(trace((7.4, top + 6), (22, top + 4, 36.5, top + 7))))
    parts.append(stitches(trace((62, 61), (60, 70, 63, 78))))
    heel_cap = trace((6.6, 78), (4, 66, 8, 56), (16, 60, 20, 78))
    parts += [shape(heel_cap, paint="plain", depth=1.6)]
    block = trace((5.5, 80), (34, 80), (33, 81 + heel), (7, 81 + heel), (5.5, 84, 5.5, 80))
    sole = trace((5, 77.5), (50, 79, 93, 77), (96, 80, 91, 81 + heel), (54, 81 + heel),
        (46, 82, 34, 82), (5.5, 82))
    parts += [shape(block, paint="sole", depth=1.4), shape(sole, paint="sole", depth=1)]
    return kind, parts
