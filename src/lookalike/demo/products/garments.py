"""Garments."""

from __future__ import annotations

import math
from random import Random

import numpy as np

from lookalike.demo.drawing.outlines import (
    Point,
    Points,
    band,
    both,
    box,
    ellipse,
    flip,
    moved,
    trace,
)
from lookalike.demo.drawing.parts import Part, Sketch, marks, pair, seam, shape, stitches

# Outlines are tables of numbers; the formatter would put each corner on a line of its own.
# fmt: off


def _torso(neck: Point, shoulder: Point, armpit: Point, waist: Point, hem: Point, sag: float
    ) -> Points:
    """Outlines a trunk. `neck` is the half-width of the neckline and its depth in front."""
    return both(trace((0, neck[1]), (neck[0] * 0.85, neck[1], neck[0], 0), (neck[0] + 6, 1.6,
        *shoulder), (shoulder[0] - 3.5, shoulder[1] + 8, *armpit), (armpit[0], armpit[1] + (waist[
        1] - armpit[1]) * 0.6, *waist), (waist[0] + (hem[0] - waist[0]) * 0.3, (waist[1] + hem[
        1]) / 2, *hem), (hem[0] * 0.5, hem[1] + sag, 0, hem[1] + sag)))


def _neck_back(r: Random, neck: Point) -> list[Part]:
    """Draws the inside of the collar above the front, sometimes with a hanger."""
    half = trace((0, 2.2), (neck[0] * 0.7, 2.0, neck[0], -0.4), (neck[0], neck[1]), (0, neck[1]))
    back = shape(both(half), paint="inside", depth=2)
    return [back, *_hanger(neck[0] + 6)] if r.random() < 0.35 else [back]


def _neck_rib(neck: Point, width: float = 2.2) -> Part:
    half = trace((0, neck[1]), (neck[0] * 0.85, neck[1], neck[0], 0))
    return shape(band(np.vstack([flip(half)[:-1], half]), width), paint="plain", depth=1)


def _sleeves(shoulder: Point, armpit: Point, end: Point, cuff: float) -> tuple[list[Part], Points]:
    """Draws both sleeves; also returns the line across the end of the right one. `cuff` is half
    the opening."""
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


def _offset(line: Points, shift: float) -> Points:
    """Shifts a line to the right of its direction."""
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
    parts += pair(stitches(_offset(mouth, 1.8)))
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
        parts += pair(stitches(_offset(mouth, 2.2)))
    else:
        parts += pair(shape(band(_offset(mouth, 2.2), 6.0), paint="plain", depth=1))
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
    parts += pair(shape(band(_offset(mouth, 1.2), 6.5, 6.0), paint="trim", depth=1.4))
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
        parts += [*sleeves, *pair(stitches(_offset(mouth, 1.4)))]
    parts += _dress_skirt(r, (waist, waist_y), (hem, length))
    parts.append(shape(bodice))
    if top != "straps":
        half = trace((0, neck[1]), (neck[0] * 0.8, neck[1], neck[0], 0))
        parts.append(seam(np.vstack([flip(half)[:-1], half]), width=0.9))
    belt = both(trace((0, waist_y - 1.2), (waist + 0.4, waist_y - 1.6),
        (waist + 0.3, waist_y + 2.2), (0, waist_y + 2.6)))
    parts.append(shape(belt, paint=r.choice(("plain", "strap")), depth=0.9))
    return r.choice(("dress", "summer dress")) if top != "long" else "long-sleeved dress", parts


def _dress_skirt(r: Random, waist: Point, hem: Point) -> list[Part]:
    """Draws a dress below the waist. `waist` and `hem` are a half-width and a height."""
    flare = waist[0] + (hem[0] - waist[0]) * r.uniform(0.35, 0.8)
    half = trace((0, waist[1] - 0.5), waist, (flare, (waist[1] + hem[1]) * 0.48, *hem),
        (hem[0] * 0.5, hem[1] + 4, 0, hem[1] + 4))
    parts = [shape(both(half), depth=4)]
    for share in (0.28, 0.62):
        fold = trace((waist[0] * share, waist[1] + 5),
            (hem[0] * share * 0.8, hem[1] * 0.7, hem[0] * share, hem[1]))
        parts += pair(Part((band(fold, 0.8, 4.0),), "shade", "flat"))
    return parts


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
    """Draws legs, waistband, fly and pockets. `ankle` is the width of the end of a leg."""
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
