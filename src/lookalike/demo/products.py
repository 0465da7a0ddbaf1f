"""The shapes of the products: one function each, which draws lots for its proportions.

A function returns what a shop would call the thing, and its parts from back to front. Symmetric
things have x = 0 in their middle. Paints: "body" carries the pattern, "plain" the same color
without it, "trim" a second color, "inside" and "deep" the body in shadow; the others are
materials.
"""

from __future__ import annotations

import math
from random import Random
from typing import TypeAlias

import numpy as np

from lookalike.demo.drawing import (
    Part,
    Points,
    band,
    both,
    box,
    ellipse,
    flip,
    marks,
    moved,
    pair,
    seam,
    shape,
    stitches,
    trace,
    turned,
)

# Outlines are tables of numbers: a corner a line, as the formatter wants, would be pages of them.
# fmt: off

Sketch: TypeAlias = tuple[str, list[Part]]
Spot: TypeAlias = tuple[float, float]


# --- garments -------------------------------------------------------------------------------


def _torso(neck: Spot, shoulder: Spot, armpit: Spot, waist: Spot, hem: Spot, sag: float) -> Points:
    """A garment's trunk. `neck` is its half-width and its depth in front."""
    return both(trace((0, neck[1]), (neck[0] * 0.85, neck[1], neck[0], 0), (neck[0] + 6, 1.6,
        *shoulder), (shoulder[0] - 3.5, shoulder[1] + 8, *armpit), (armpit[0], armpit[1] + (waist[
        1] - armpit[1]) * 0.6, *waist), (waist[0] + (hem[0] - waist[0]) * 0.3, (waist[1] + hem[
        1]) / 2, *hem), (hem[0] * 0.5, hem[1] + sag, 0, hem[1] + sag)))


def _neck_back(r: Random, neck: Spot) -> list[Part]:
    """The inside of the collar, seen above the front; now and then with a hanger in it."""
    half = trace((0, 2.2), (neck[0] * 0.7, 2.0, neck[0], -0.4), (neck[0], neck[1]), (0, neck[1]))
    back = shape(both(half), paint="inside", depth=2)
    return [back, *_hanger(neck[0] + 6)] if r.random() < 0.35 else [back]


def _neck_rib(neck: Spot, width: float = 2.2) -> Part:
    half = trace((0, neck[1]), (neck[0] * 0.85, neck[1], neck[0], 0))
    return shape(band(np.vstack([flip(half)[:-1], half]), width), paint="plain", depth=1)


def _sleeves(shoulder: Spot, armpit: Spot, end: Spot, cuff: float) -> tuple[list[Part], Points]:
    """Both sleeves, and the line across the right one's end. `cuff` is half the opening."""
    root = ((shoulder[0] + armpit[0]) / 2, (shoulder[1] + armpit[1]) / 2)
    dx, dy = end[0] - root[0], end[1] - root[1]
    length = math.hypot(dx, dy)
    nx, ny = dy / length * cuff, -dx / length * cuff
    outer, inner = (end[0] + nx, end[1] + ny), (end[0] - nx, end[1] - ny)
    bend = (shoulder[0] + dx * 0.35 + nx * 0.75, shoulder[1] + dy * 0.25 + ny * 0.5)
    sleeve = trace((shoulder[0] - 6, shoulder[1] - 1), shoulder, (*bend, *outer), inner, (armpit[
        0] + dx * 0.12, armpit[1] - 1, armpit[0] - 1, armpit[1] + 2), (armpit[0] - 6, armpit[
        1] - 4))
    return pair(shape(sleeve, turn=math.degrees(math.atan2(dx, dy)))), trace(outer, inner)


def _along(line: Points, shift: float) -> Points:
    """A line moved sideways, to the right of its direction."""
    dx, dy = line[-1] - line[0]
    return line + np.array([-dy, dx]) / math.hypot(dx, dy) * shift


def _hanger(width: float) -> list[Part]:
    hook = trace((0, 2), (0, -6), (0, -8, 2, -8.6), (5.4, -10, 3.8, -13), (1, -16.5, -2.8, -13))
    bar = trace((0, 1.6), (width * 0.4, 2, width, 6))
    return [shape(band(hook, 1.0), paint="metal", depth=0.5), shape(band(np.vstack([flip(bar)[:-1],
        bar]), 2.6), paint="wood", depth=1.0)]


def t_shirt(r: Random) -> Sketch:
    neck = (r.uniform(9.5, 12.5), r.choice((6.5, 8.0, 12.0)))
    chest, length = r.uniform(25, 28), r.uniform(74, 86)
    shoulder, armpit = (chest + 3.5, r.uniform(5, 7)), (chest, 26.0)
    reach = r.choice((11.0, 14.0, 17.0))
    end = (chest + reach, 20 + reach * r.uniform(0.55, 0.8))
    sleeves, mouth = _sleeves(shoulder, armpit, end, r.uniform(8.5, 10))
    hem = (chest + r.uniform(-1, 2.5), length)
    parts = [*_neck_back(r, neck), *sleeves]
    parts += pair(stitches(_along(mouth, 1.8)))
    parts.append(shape(_torso(neck, shoulder, armpit, (chest - 1.2, 48), hem, 1.5)))
    parts.append(_neck_rib(neck))
    line = trace((-hem[0] + 0.5, length - 2.4), (0, length - 0.4, hem[0] - 0.5, length - 2.4))
    parts.append(stitches(line))
    if r.random() < 0.35:
        pocket = trace((6, 24), (16, 24), (16, 33), (11, 37), (6, 33), (6, 24))
        parts += [shape(pocket, depth=0.8), seam(pocket), stitches(moved(pocket, 0, 1.4))]
    return "T-shirt", parts


def shirt(r: Random) -> Sketch:
    neck, chest, length = (9.5, 9.0), r.uniform(24, 27), r.uniform(76, 86)
    shoulder, armpit = (chest + 3, 6.5), (chest, 27.0)
    short = r.random() < 0.3
    end = (chest + 15, 34.0) if short else (chest + r.uniform(9, 13), r.uniform(66, 72))
    cuff = 9.0 if short else 5.4
    sleeves, mouth = _sleeves(shoulder, armpit, end, cuff)
    parts = [*_neck_back(r, neck), *sleeves]
    if short:
        parts += pair(stitches(_along(mouth, 2.2)))
    else:
        parts += pair(shape(band(_along(mouth, 2.2), 6.0), paint="plain", depth=1))
    hem = (chest + 0.5, length - 6)
    parts.append(shape(_torso(neck, shoulder, armpit, (chest - 1.5, 48), hem, 8.5)))
    parts.append(shape(box(-2.4, 8, 2.4, length + 1.6, 0.6), depth=0.7))
    parts.append(seam(trace((-2.4, 9), (-2.4, length + 1)), trace((2.4, 9), (2.4, length + 1))))
    rows = np.linspace(15, length - 5, r.choice((6, 7)))
    parts.append(marks(*(ellipse(0, y, 1.05) for y in rows), paint="button"))
    if r.random() < 0.6:
        pocket = trace((8, 24), (18, 24), (18, 33), (13, 36.5), (8, 33), (8, 24))
        parts += [shape(pocket, depth=0.8), seam(pocket)]
    if r.random() < 0.75:
        wing = trace((0, 8.6), (5.2, 14.0), (12, 4.2), (11.4, -1.0, 8.4, -2.6), (6, 4, 0, 8.6))
    else:  # a band collar
        wing = trace((0, 9), (8, 8, 9.6, -2.4), (11.8, -1, 11.4, 1.2), (9.5, 11, 0, 12.2))
    parts += pair(shape(wing, paint="plain", depth=1.2))
    return ("short-sleeved shirt" if short else "shirt"), parts


def hoodie(r: Random) -> Sketch:
    neck, chest, length = (11.0, 12.0), r.uniform(27, 31), r.uniform(64, 72)
    shoulder, armpit = (chest + 2, 8.0), (chest, 30.0)
    end = (chest + r.uniform(11, 15), r.uniform(60, 66))
    sleeves, mouth = _sleeves(shoulder, armpit, end, 6.2)
    hood = trace((0, -15), (11, -15.5, 17, -9, 17.5, 3), (17, 11, 9, 16), (0, 18))
    hollow = trace((0, -10.5), (8.5, -10.5, 11.5, -4, 11, 3), (8, 10, 0, 15.5))
    parts = [shape(both(hood), paint="plain", depth=4), *sleeves]
    parts += pair(shape(band(_along(mouth, 1.2), 6.5, 6.0), paint="trim", depth=1.4))
    hem = (chest + 0.5, length)
    parts.append(shape(_torso(neck, shoulder, armpit, (chest + 0.8, 50), hem, 1), depth=4))
    front = trace((0, 17), (10, 15, 17.5, 3), (15, -2, 11, 1), (8, 9, 0, 13))
    parts += [shape(both(hollow), paint="inside", depth=3)]
    parts += pair(shape(front, paint="plain", depth=1.8))
    waistband = box(-chest + 0.6, length - 2, chest - 0.6, length + 6.5, 2)
    parts.append(shape(waistband, paint="trim", depth=1.4))
    zipped = r.random() < 0.4
    if zipped:
        line = trace((0, 14), (0, length + 6))
        parts += [seam(line, width=1.6), stitches(line, width=0.9, paint="metal")]
        pocket = trace((3, length - 3), (3, 48), (15, 46), (20, length - 3))
        parts += pair(seam(pocket, width=0.6))
    else:
        half = trace((0, 45), (12, 45), (20, length - 9), (20, length - 3), (0, length - 3))
        parts += [shape(both(half), depth=1.2), stitches(both(half) * [0.94, 1] + [0, 1.2])]
    for x in (-4.5, 4.5):
        cord = trace((x, 14), (x * 1.35, 22, x * 1.1, r.uniform(29, 34)))
        parts.append(shape(band(cord, 1.0), paint="cord", depth=0.5))
        parts.append(marks(band(cord[-5:], 1.5), paint="metal"))
    return ("zip hoodie" if zipped else "hoodie"), parts


def dress(r: Random) -> Sketch:
    chest, waist_y, length = r.uniform(17.5, 20), r.uniform(36, 41), r.uniform(76, 100)
    waist, hem = r.uniform(13, 15), r.uniform(24, 34)
    top = r.choice(("straps", "sleeveless", "short", "long"))
    neck = (r.uniform(9, 11), r.choice((9.0, 13.0, 16.0)))
    shoulder, armpit = (chest + 0.5, 4.5), (chest, 22.0)
    parts: list[Part] = []
    if top == "straps":
        behind, before = trace((8, 19), (8.2, 8, 9.9, 1)), trace((9.8, 0.6), (12, 6, 12, 18))
        parts += pair(shape(band(behind, 1.7), paint="inside", depth=0.8))
        parts += pair(shape(band(before, 1.9), paint="plain", depth=0.8))
        back = both(trace((0, 18.5), (8, 18, 15, 17), (15, 24), (0, 24)))
        bodice = both(trace((0, 20), (5, 15.5, 12, 15.5), (chest, 21), (chest, 28, waist, waist_y),
            (0, waist_y)))
        parts.append(shape(back, paint="inside", depth=2))
    else:
        bodice = both(trace((0, neck[1]), (neck[0] * 0.8, neck[1], neck[0], 0), (
            shoulder if top != "sleeveless" else (chest - 2.2, 3)), (chest - 4.5, 14, *armpit),
            (chest - 0.5, 30, waist, waist_y), (waist, waist_y + 2), (0, waist_y + 2)))
        parts += _neck_back(r, neck)
    if top in ("short", "long"):
        end = (chest + 10, 24.0) if top == "short" else (chest + 11, 56.0)
        sleeves, mouth = _sleeves(shoulder, armpit, end, 7 if top == "short" else 4.4)
        parts += [*sleeves, *pair(stitches(_along(mouth, 1.4)))]
    skirt_half = trace((0, waist_y - 0.5), (waist, waist_y), (
        waist + (hem - waist) * r.uniform(0.35, 0.8), (waist_y + length) * 0.48, hem, length),
        (hem * 0.5, length + 4, 0, length + 4))
    parts.append(shape(both(skirt_half), depth=4))
    for share in (0.28, 0.62):
        fold = trace((waist * share, waist_y + 5),
            (hem * share * 0.8, length * 0.7, hem * share, length))
        parts += pair(Part((band(fold, 0.8, 4.0),), "shade", "flat"))
    parts.append(shape(bodice))
    if top != "straps":
        half = trace((0, neck[1]), (neck[0] * 0.8, neck[1], neck[0], 0))
        parts.append(seam(np.vstack([flip(half)[:-1], half]), width=0.9))
    belt = both(trace((0, waist_y - 1.2), (waist + 0.4, waist_y - 1.6),
        (waist + 0.3, waist_y + 2.2), (0, waist_y + 2.6)))
    parts.append(shape(belt, paint=r.choice(("plain", "strap")), depth=0.9))
    return r.choice(("dress", "summer dress")) if top != "long" else "long-sleeved dress", parts


def skirt(r: Random) -> Sketch:
    waist, length = r.uniform(16, 18.5), r.uniform(50, 80)
    cut = r.choice(("pencil", "A-line", "pleated"))
    hem = waist + {"pencil": 3, "A-line": r.uniform(13, 20), "pleated": r.uniform(11, 17)}[cut]
    sag = 1.0 if cut == "pencil" else 4.0
    side = ((waist + 8, 10, hem + 2, length * 0.4) if cut == "pencil" else (
        waist + (hem - waist) * 0.42, length * 0.26, hem - 2, length * 0.7))
    half = trace((0, 3), (waist, 2), (*side, hem, length),
        (hem * 0.55, length + sag, 0, length + sag))
    parts = [shape(both(half), depth=4)]
    if cut == "pleated":
        for share in np.linspace(-0.84, 0.84, r.choice((7, 8, 9))):
            top, low = (waist * share, 5), (hem * share, length + sag * (1 - share**2) * 0.9)
            mid = ((top[0] + low[0]) * 0.5 + share * 1.5, length * 0.45)
            parts.append(Part((band(trace(top, (*mid, *low)), 0.7, 3.6),), "shade", "flat"))
    elif cut == "A-line" and r.random() < 0.6:  # buttons down the front
        parts.append(seam(trace((0, 5), (0, length + sag)), width=0.6))
        rows = np.arange(10, length - 2, 8.5)
        parts.append(marks(*(ellipse(2.6, y, 1.2) for y in rows), paint="button"))
    else:
        dart = trace((9, 6), (10, 12, 9.5, 19))
        parts += pair(seam(dart))
    if cut != "pleated":
        line = trace((-hem + 0.6, length - 2.8),
            (0, length + sag * 2 - 2.8, hem - 0.6, length - 2.8))
        parts.append(stitches(line))
    parts.append(shape(box(-waist - 0.4, 0, waist + 0.4, 6, 1.4), paint=r.choice(
        ("plain", "plain", "trim")), depth=1.2))
    return f"{cut} skirt", parts


def _legs(r: Random, length: float, ankle: float, spread: float) -> list[Part]:
    """Two legs, waistband, fly and pockets. `ankle` is the width of a leg's end."""
    waist, hip = r.uniform(17.5, 19.5), r.uniform(22, 24)
    outer = hip + spread
    rise = 27.0
    leg = trace((0, 4), (waist, 3), (hip - 0.5, 10, hip, 20), (hip + spread * 0.25,
        (20 + length) / 2, outer, length),
        (outer - ankle / 2, length + 1.4, outer - ankle, length + 0.4), (min(3.0, outer - ankle),
        (rise + length) / 2, 0, rise))
    parts = pair(shape(leg, depth=3.5))
    hem = trace((outer - 0.3, length - 3),
        (outer - ankle / 2, length - 1.6, outer - ankle + 0.2, length - 2.6))
    parts += pair(stitches(hem))
    if r.random() < 0.5 and length > 60:
        crease = trace((waist * 0.62, 12),
            (outer - ankle * 0.55, length * 0.5, outer - ankle / 2, length))
        parts += pair(seam(crease, width=0.5))
    pocket = trace((waist - 7, 7), (waist - 5.5, 14.5, hip - 1.8, 16.5))
    parts += pair(stitches(pocket)) + pair(seam(moved(pocket, 0.7, -0.9)))
    parts.append(seam(trace((0, 6), (0, rise + 2)), width=0.6))
    parts.append(stitches(trace((3.6, 7), (3.6, 17), (3.4, 22, 0.3, 24))))
    parts.append(shape(box(-waist - 0.4, 0, waist + 0.4, 6.4, 1.2), paint="plain", depth=1.1))
    parts += [p for x in (8.0, waist - 4) for p in pair(shape(box(x, -0.4, x + 1.4, 7.2, 0.4),
        paint="plain", depth=0.6))]
    parts.append(marks(ellipse(0, 3.2, 1.3), paint="metal"))
    return parts


def trousers(r: Random) -> Sketch:
    name, ankle, spread = r.choice((("slim trousers", 11, -1.5), ("straight trousers", 15, 1.0),
        ("wide-leg trousers", 21, 6.0), ("tapered trousers", 9.5, -3.0)))
    return name, _legs(r, r.uniform(94, 104), ankle + r.uniform(-1, 1), spread)


def shorts(r: Random) -> Sketch:
    length = r.uniform(42, 58)
    parts = _legs(r, length, r.uniform(20, 23), r.uniform(2, 6))
    if r.random() < 0.4:
        for x in (-1.6, 1.6):
            cord = trace((x * 0.4, 5), (x * 2.6, 11, x * 1.6, 18))
            parts.append(shape(band(cord, 1.0), paint="cord", depth=0.5))
    return "shorts", parts


# --- shoes, bags, hats, watches -------------------------------------------------------------


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


def handbag(r: Random) -> Sketch:
    kind = r.choice(("tote bag", "satchel", "hobo bag"))
    if kind == "tote bag":
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
        return kind, parts
    if kind == "satchel":
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
        return kind, parts
    wide, tall = r.uniform(36, 42), r.uniform(46, 54)
    half = trace((0, 18), (wide * 0.6, 16, wide - 2, -4), (wide + 5, 12, wide + 2, 32),
        (wide - 4, tall + 4, 0, tall + 4))
    strap = trace((wide - 3, -2), (wide * 0.55, -42, 0, -42))
    arc = np.vstack([strap, flip(strap)[1:]])
    parts = [shape(band(arc, 4.2), paint="strap", depth=1.4), shape(both(half), depth=5)]
    zip_line = trace((-wide + 8, 6), (-wide * 0.4, 22, 0, 22), (wide * 0.4, 22, wide - 8, 6))
    parts += [seam(zip_line, width=1.0), stitches(moved(zip_line, 0, 2.4))]
    parts += pair(marks(ellipse(wide - 2.5, -2, 2.4), paint="metal"))
    return kind, parts


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
    kind = r.choice(("baseball cap", "beanie", "fedora", "sun hat"))
    if kind == "baseball cap":
        crown = trace((-30, 22), (-33, -14, -2, -16), (26, -16, 30, 18), (0, 29, -30, 22))
        visor = trace((8, 24), (30, 12, 34, 14), (56, 18, 62, 27), (60, 33, 50, 31),
            (28, 26, 6, 30))
        parts = [shape(visor, paint=r.choice(("plain", "trim")), depth=2), shape(crown, depth=7)]
        parts.append(seam(trace((-1, -16), (12, -2, 13, 25)), trace((-1, -16),
            (-18, -6, -19, 24.5))))
        parts.append(stitches(trace((14, 26), (34, 16, 58, 28))))
        return kind, [*parts, shape(ellipse(-1, -16, 3, 1.8), paint="plain", depth=1)]
    if kind == "beanie":
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
        return kind, [*parts, seam(*ribs, width=0.6)]
    wide = r.uniform(50, 56) if kind == "fedora" else r.uniform(58, 66)
    dip = 12.0 if kind == "fedora" else 9.0
    brim = both(trace((0, 8), (wide * 0.6, 7, wide, 16 - dip * 0.5),
        (wide + 2, 20, wide * 0.7, 24), (wide * 0.3, 28, 0, 28)))
    if kind == "fedora":
        half = trace((0, -24), (12, -33, 20, -26), (26, -12, 28, 14), (14, 19, 0, 19))
    else:
        half = trace((0, -25), (24, -25, 27, 14), (14, 19, 0, 19))
    crown = both(half)
    ribbon = both(trace((0, 9), (16, 9, 27.2, 4), (28, 14), (14, 19, 0, 19)))
    parts = [shape(brim, depth=4), shape(crown, depth=7)]
    if kind == "fedora":
        parts.append(Part((both(trace((0, -25), (7, -27, 10, -20), (5, -8, 0, -4))), ), "shade",
            "flat"))
    parts.append(shape(ribbon, paint="trim", depth=1.4))
    return kind, parts


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


# --- for the home ---------------------------------------------------------------------------


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


def _profile(knots: list[Spot]) -> Points:
    """The right half of a turned form through (y, radius) knots: a cubic Hermite spline."""
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
    knots: dict[str, list[Spot]] = {"bottle vase": [(0, 8), (3, 6.5), (tall * 0.36, 6.5),
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
    kind = r.choice(("armchair", "shell chair", "dining chair"))
    if kind == "armchair":
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
        return kind, parts
    metal = r.choice(("wood", "wood", "iron"))
    legs = [trace((x, 30), (x * 1.55, 66)) for x in (-13.0, 13.0)]
    rear = [trace((x, 30), (x * 1.18, 60)) for x in (-15.0, 15.0)]
    parts = [shape(*(band(leg, 3.0, 2.0) for leg in rear), paint=metal, depth=0.8)]
    if kind == "shell chair":
        wide = r.uniform(24, 29)
        parts.append(shape(*(band(leg, 3.4, 2.2) for leg in legs), paint=metal, depth=0.9))
        back = both(trace((0, -34), (wide * 0.8, -34, wide, -18), (wide + 2, 4, wide - 2, 24),
            (0, 30)))
        seat = both(trace((0, 16), (wide - 4, 15, wide + 3, 21), (wide + 5, 30, wide - 6, 33),
            (wide * 0.4, 35.5, 0, 35.5)))
        parts += [shape(back, depth=6), shape(seat, depth=4)]
        return kind, parts
    wide = r.uniform(20, 24)
    posts = [trace((x, 26), (x * 1.02, -36)) for x in (-wide + 2, wide - 2)]
    parts.append(shape(*(band(post, 3.0, 2.6) for post in posts), paint=metal, depth=0.9))
    back = both(trace((0, -37), (wide * 0.7, -37, wide + 1, -34), (wide + 1, -9),
        (wide * 0.5, -5, 0, -5)))
    parts.append(shape(back, depth=3.5))
    parts.append(shape(*(band(leg * [1.25, 1], 3.2, 2.2) for leg in legs), paint=metal, depth=0.9))
    seat = both(trace((0, 17), (wide - 3, 17), (wide + 4, 24), (wide + 7, 31, wide, 32.5),
        (wide * 0.5, 34, 0, 34)))
    parts.append(shape(seat, depth=4))
    return kind, parts


def lamp(r: Random) -> Sketch:
    kind = r.choice(("table lamp", "pendant lamp", "desk lamp"))
    if kind == "table lamp":
        top, low, tall = r.uniform(13, 21), r.uniform(25, 30), r.uniform(28, 36)
        base = [(tall - 1, 3.0), (tall + 7, 3.0), (tall + 22, r.uniform(8, 15)), (tall + 38,
            r.uniform(8, 12))]
        shade = both(trace((0, -1), (top * 0.5, -1, top, 0), (low, tall),
            (low * 0.5, tall + 4, 0, tall + 4)))
        parts = [turned(both(_profile(base)), paint=r.choice(("plain", "plain", "wood", "clay"))),
            turned(shade, bulge=3)]
        parts.append(seam(trace((-low, tall - 1.6), (0, tall + 6, low, tall - 1.6)), trace(
            (-top, 1.4), (0, 0.4, top, 1.4)), width=0.8))
        return kind, [*parts, shape(both(_profile([(tall + 37, 11), (tall + 40, 13)])),
            paint="brass", depth=0.8)]
    if kind == "pendant lamp":
        wide, tall = r.uniform(32, 40), r.uniform(26, 38)
        parts = [shape(band(trace((0, -44), (0, 2)), 1.0), paint="iron", depth=0.4)]
        parts.append(turned(box(-4, -4, 4, 6, 1.6), paint="brass"))
        bulb = ellipse(0, tall + 1, 8, 7)
        dome = both(trace((0, 2), (5, 2), (wide * 0.55, 4, wide * 0.9, tall * 0.4, wide, tall),
            (wide * 0.5, tall + 4, 0, tall + 4)))
        parts += [shape(bulb, paint="glow", depth=3), turned(dome, bulge=3)]
        return kind, [*parts, seam(trace((-wide, tall - 1), (0, tall + 6, wide, tall - 1)),
            width=0.9)]
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
    return kind, [*parts, shape(glow, paint="glow", depth=2), shape(head, depth=7)]


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
