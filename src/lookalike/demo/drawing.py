"""From outlines to a picture: curves, soft shading, shadows and backdrops.

Outlines are in *product units*: y grows downward, a product is some 60 to 100 units large, and
its place and size in the picture are the pose's business.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from lookalike.demo.patterns import CREAM, Cloth, Field, cloud, luma, mix, rgb

Points: TypeAlias = NDArray[np.float64]
"""(n, 2) corners, x then y."""

SUPERSAMPLING = 4


# --- outlines -------------------------------------------------------------------------------


def trace(start: tuple[float, float], *steps: tuple[float, ...]) -> Points:
    """A path of straight lines and Bézier curves.

    Args:
        steps: (x, y) goes there straight, (cx, cy, x, y) by a quadratic curve, and
            (cx, cy, dx, dy, x, y) by a cubic one.
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
    """The mirror image across x = 0, in the opposite order."""
    return points[::-1] * [-1, 1]


def moved(points: Points, x: float, y: float) -> Points:
    """The same line elsewhere."""
    return np.add(points, [x, y])


def both(half: Points) -> Points:
    """A symmetric outline from its right half, given from the middle to the middle."""
    return np.vstack([half, flip(half)])


def band(line: Points, width: float, end: float | None = None) -> Points:
    """The outline of a strip along `line`, as wide as `width`, or tapering to `end`."""
    along = np.gradient(line, axis=0)
    along /= np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    half = np.linspace(width, width if end is None else end, len(line))[:, None] / 2
    normal = along[:, ::-1] * [-1, 1] * half
    return np.vstack([line + normal, (line - normal)[::-1]])


def ellipse(x: float, y: float, rx: float, ry: float | None = None) -> Points:
    """An ellipse, or a circle, around (x, y)."""
    t = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + rx * np.cos(t), y + (rx if ry is None else ry) * np.sin(t)], axis=1)


def box(x0: float, y0: float, x1: float, y1: float, r: float = 1.0) -> Points:
    """A rectangle with rounded corners."""
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


# --- parts ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a product, painted over those before it.

    Attributes:
        outlines: closed polygons that share the paint.
        paint: which of the product's paints.
        form: how light falls on it: "soft" like cloth, "round" like a turned vase, "flat".
        turn: degrees by which its cloth hangs askew, as on a sleeve.
        depth: units over which a soft edge curves away.
        bulge: units by which rings around a round form sag in the middle.
    """

    outlines: tuple[Points, ...]
    paint: str = "body"
    form: Literal["soft", "round", "flat"] = "soft"
    turn: float = 0.0
    depth: float = 3.0
    bulge: float = 0.0


def shape(*outlines: Points, paint: str = "body", depth: float = 3.0, turn: float = 0.0) -> Part:
    """A soft part."""
    return Part(outlines, paint, "soft", turn, depth)


def turned(outline: Points, paint: str = "body", bulge: float = 0.0) -> Part:
    """A part that is round about its upright axis."""
    return Part((outline,), paint, "round", bulge=bulge)


def marks(*outlines: Points, paint: str = "seam") -> Part:
    """Flat details: buttons, eyelets, holes."""
    return Part(outlines, paint, "flat")


def seam(*lines: Points, width: float = 0.5, paint: str = "seam") -> Part:
    """Lines drawn on what is below."""
    return Part(tuple(band(line, width) for line in lines), paint, "flat")


def stitches(*lines: Points, width: float = 0.45, paint: str = "seam") -> Part:
    """Dashed lines drawn on what is below."""
    dashes: list[Points] = []
    for line in lines:
        at = np.r_[0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))]
        for start in np.arange(0, at[-1] - 1.0, 1.9):
            spots = np.linspace(start, start + 1.0, 3)
            dash = np.stack([np.interp(spots, at, line[:, i]) for i in (0, 1)], axis=1)
            dashes.append(band(dash, width))
    return Part(tuple(dashes), paint, "flat")


def pair(part: Part) -> list[Part]:
    """A part and its mirror image."""
    return [part, replace(part, outlines=tuple(map(flip, part.outlines)), turn=-part.turn)]


# --- painting -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Paint:
    """How a part looks: its cloth, how much it covers, how much it shines (0 to 1), its folds."""

    cloth: Cloth
    opacity: float = 1.0
    gloss: float = 0.0
    folds: float = 0.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where product units lie in the picture: turned, enlarged, moved."""

    scale: float
    angle: float
    x: float
    y: float

    @classmethod
    def fitting(
        cls,
        parts: Sequence[Part],
        frame: tuple[float, float, float, float],
        angle: float,
        stand: bool,
    ) -> Pose:
        """The pose that centers a product in `frame` (x0, y0, x1, y1 in pixels), or stands it on
        the frame's lower side."""
        whole = cls(1.0, angle, 0.0, 0.0).place(np.vstack([o for p in parts for o in p.outlines]))
        (left, top), (right, bottom) = whole.min(axis=0), whole.max(axis=0)
        x0, y0, x1, y1 = frame
        scale = float(min((x1 - x0) / (right - left), (y1 - y0) / (bottom - top)))
        y = y1 - scale * bottom if stand else (y0 + y1 - scale * (top + bottom)) / 2
        return cls(scale, angle, (x0 + x1 - scale * (left + right)) / 2, y)

    def place(self, points: Points) -> Points:
        """Product units to pixels."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        rotated: Points = points @ np.array([[c, s], [-s, c]])
        return moved(rotated * self.scale, self.x, self.y)

    def units(self, x: Field, y: Field, turn: float) -> tuple[Field, Field]:
        """Pixels to product units, on cloth that hangs `turn` degrees askew."""
        angle = self.angle - math.radians(turn)
        c, s = np.float32(math.cos(angle) / self.scale), np.float32(math.sin(angle) / self.scale)
        x, y = x - np.float32(self.x), y - np.float32(self.y)
        return x * c + y * s, y * c - x * s


@dataclass(frozen=True, slots=True)
class Layer:
    """Colors (3, h, w) multiplied by their cover, and the cover (h, w) between 0 and 1."""

    color: Field
    cover: Field


def paint_product(
    parts: Sequence[Part], paints: Mapping[str, Paint], pose: Pose, size: tuple[int, int]
) -> Layer:
    """Paints the parts in their order on nothing; `size` is (width, height) in pixels."""
    width, height = size
    layer = Layer(np.zeros((3, height, width), np.float32), np.zeros((height, width), np.float32))
    for part in parts:
        _paint_part(layer, part, paints[part.paint], pose)
    return layer


def _paint_part(layer: Layer, part: Part, paint: Paint, pose: Pose) -> None:
    outlines = [pose.place(outline) for outline in part.outlines]
    margin = 2 + int(2 * part.depth * pose.scale) if part.form == "soft" else 2
    corners = np.vstack(outlines)
    height, width = layer.cover.shape
    x0, y0 = np.maximum(corners.min(axis=0).astype(int) - margin, 0)
    x1, y1 = np.minimum(corners.max(axis=0).astype(int) + margin + 1, (width, height))
    if x0 >= x1 or y0 >= y1:
        return
    mask = _rasterize(outlines, (int(x0), int(y0), int(x1), int(y1)))
    x, y = np.meshgrid(np.arange(x0, x1, dtype=np.float32), np.arange(y0, y1, dtype=np.float32))
    u, v = pose.units(x, y, part.turn)
    light: Field | None = None
    if part.form == "round":
        across = _across(mask, int(2 * part.bulge * pose.scale) + margin)
        reach = np.float32(np.ptp(corners[:, 0]) / 2 / pose.scale)
        u, v = np.arcsin(across) * reach, v - np.float32(part.bulge) * np.sqrt(1 - across**2)
        light = _round_light(across, paint.gloss)
    elif part.form == "soft":
        light = _soft_light(mask, part.depth * pose.scale, paint)
    color = paint.cloth.color(u, v, 1 / pose.scale)
    if light is not None:
        shade = np.minimum(light, 0)
        color = mix(color * (1 + shade), rgb(CREAM), np.clip(light, 0, 0.9) * np.float32(0.55))
    cover = mask * np.float32(paint.opacity)
    spot = np.s_[..., y0:y1, x0:x1]
    layer.color[spot] += (np.clip(color, 0, 1) - layer.color[spot]) * cover
    layer.cover[spot] += (1 - layer.cover[spot]) * cover


def _rasterize(outlines: Sequence[Points], frame: tuple[int, int, int, int]) -> Field:
    x0, y0, x1, y1 = frame
    large = Image.new("L", ((x1 - x0) * SUPERSAMPLING, (y1 - y0) * SUPERSAMPLING))
    draw = ImageDraw.Draw(large)
    for outline in outlines:
        draw.polygon([(x, y) for x, y in (outline - [x0, y0]) * SUPERSAMPLING], fill=255)
    return np.asarray(large.reduce(SUPERSAMPLING), np.float32) / 255


def _blurred(field: Field, radius: float) -> Field:
    """A Gaussian blur; a wide one is made on a smaller picture, which looks the same."""
    picture = Image.fromarray((field * 255).astype(np.uint8))
    shrink = max(1, int(radius / 2.5))
    small = picture.reduce(shrink).filter(ImageFilter.GaussianBlur(radius / shrink))
    if shrink > 1:  # enlarged as floats, for steps of whole levels would show as lines
        small = small.convert("F").resize(picture.size, Image.Resampling.BICUBIC)
    return np.asarray(small, np.float32) / 255


def _soft_light(mask: Field, reach: float, paint: Paint) -> Field:
    """Light from the upper left on an edge that curves away, and the folds of cloth."""
    height = _blurred(mask, reach)
    down, right = np.gradient(height)
    slope = (down * np.float32(0.75) + right * np.float32(0.45)) * np.float32(reach)
    light = slope * np.float32(0.62 + paint.gloss) - (1 - height) * np.float32(0.16)
    if paint.folds:
        rows, columns = mask.shape
        folds = cloud(mask.shape, (3, max(3, round(columns / 26))), paint.cloth.seed + rows)
        light += folds * np.float32(0.038 * paint.folds)
    return light


def _across(mask: Field, foot: int) -> Field:
    """-1 at the left edge of each row of a form, 1 at its right edge.

    The last `foot` rows, where the bottom curves in, go by the sides above them.
    """
    solid = mask > 0.5
    left = solid.argmax(axis=1).astype(np.float32)
    right = mask.shape[1] - 1 - solid[:, ::-1].argmax(axis=1).astype(np.float32)
    left[-foot:], right[-foot:] = left[-foot - 1], right[-foot - 1]
    middle, half = (left + right) / 2, np.maximum((right - left) / 2, 1)
    columns = np.arange(mask.shape[1], dtype=np.float32)
    across: Field = np.clip((columns - middle[:, None]) / half[:, None], -1, 1)
    return across


def _round_light(across: Field, gloss: float) -> Field:
    away = across + np.float32(0.38)
    body = np.float32(0.16) - np.float32(0.30) * away**2
    edge = -np.float32(0.10) * across**6
    shine: Field = np.exp(-((across + np.float32(0.52)) ** 2) / np.float32(0.012)) * np.float32(
        gloss
    )
    return body + edge + shine


# --- scenes ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Backdrop:
    """What is behind a product.

    Attributes:
        wall: color of the wall, or of the whole studio.
        floor: color of what the product stands on, or None where wall and floor are one.
        wood: whether the floor, or else the whole ground, is of boards.
        horizon: where the floor begins, as a share of the height.
    """

    wall: str
    floor: str | None = None
    wood: bool = False
    horizon: float = 0.72

    def paint(self, size: tuple[int, int], seed: int) -> Field:
        """(3, height, width) for `size` (width, height)."""
        width, height = size
        y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(0, 1, width, dtype=np.float32)
        glow = (x - np.float32(0.42)) ** 2 + (y - np.float32(0.38)) ** 2 * np.float32(0.8)
        scene = rgb(self.wall) * (np.float32(1.025) - np.float32(0.13) * glow)
        if self.floor is not None:
            boards = _boards((height, width), self.floor, seed) if self.wood else rgb(self.floor)
            below = (y - self.horizon).astype(np.float32)
            tabletop = boards * (0.94 + 0.08 * np.clip(below, 0, None) / (1 - self.horizon))
            dusk = 1 - 0.05 * np.exp(-np.abs(below) / 0.02)
            edge = np.broadcast_to(np.clip(below * height + 0.5, 0, 1), (height, width))
            scene = mix(scene, tabletop, edge) * dusk
        elif self.wood:
            boards = _boards((width, height), self.wall, seed).swapaxes(1, 2)
            scene = boards * (np.float32(1.03) - np.float32(0.16) * glow)
        # a little noise, so that pale gradients show no bands
        dither = np.random.default_rng(seed).standard_normal((height, width), np.float32)
        dither *= np.float32(0.004)
        return np.clip(scene + dither, 0, 1).astype(np.float32)


def _boards(shape: tuple[int, int], tone: str, seed: int) -> Field:
    """(3, height, width): planks from left to right, of slightly different tones, with a grain."""
    board = np.linspace(0, 5.5, shape[0], dtype=np.float32)[:, None]
    tones = np.random.default_rng(seed).normal(0, 0.022, 8).astype(np.float32)
    wave = cloud(shape, (12, 3), seed)
    rings: Field = np.sin(board * np.float32(40) + wave * np.float32(2.2)) * np.float32(0.011)
    streaks = cloud(shape, (shape[0] // 2, 5), seed + 1) * np.float32(0.009)
    gap: Field = np.exp(-(((board + 0.5) % 1 - 0.5) ** 2) / 0.00035) * np.float32(0.2)
    light: Field = 1 + tones[board.astype(int) % 8] + rings + streaks - gap
    return rgb(tone) * light


def shadow(cover: Field, stand: bool) -> Field:
    """How much light a product takes from its backdrop: (h, w) between 0 and 1.

    One that stands casts a pool on the floor; one that hangs or lies, a soft offset shape.
    """
    height, width = cover.shape
    if not stand:
        fall = np.roll(cover, (round(height * 0.016), round(width * 0.014)), (0, 1))
        near, far = _blurred(fall, height * 0.008), _blurred(fall, height * 0.03)
        return near * np.float32(0.2) + far * np.float32(0.2)
    rows, columns = np.nonzero(cover > 0.5)
    bottom = int(rows.max())
    feet = columns[rows > bottom - height * 0.06]
    middle, reach = (feet.min() + feet.max()) / 2, max((feet.max() - feet.min()) / 2, 8)
    pool = Image.new("L", (width, height))
    draw = ImageDraw.Draw(pool)
    for grow, thick, dark in ((1.22, 0.045, 70), (1.02, 0.018, 150)):
        rx, ry, x, y = reach * grow, height * thick, middle + reach * 0.08, bottom - height * 0.004
        draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=dark)
    soft = pool.filter(ImageFilter.GaussianBlur(height * 0.016))
    return np.asarray(soft, np.float32) / np.float32(255 * 0.95)


def compose(layer: Layer, backdrop: Field, stand: bool) -> Image.Image:
    """The finished RGB picture: backdrop, shadow, product."""
    tint = rgb("#4a4048")  # a shadow is never quite black
    ground = mix(backdrop, backdrop * tint, shadow(layer.cover, stand))
    return _picture(ground * (1 - layer.cover) + layer.color)


def cut_out(layer: Layer) -> Image.Image:
    """The product alone: RGBA on transparency."""
    color = layer.color / np.maximum(layer.cover, np.float32(1e-3))
    return _picture(np.concatenate([color, layer.cover[None]]))


def _picture(planes: Field) -> Image.Image:
    levels = (np.clip(planes, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(levels, 0, -1)))


def seam_color(base: Field) -> Field:
    """What a seam looks like on `base`: its shadow, or on near-black its light."""
    return mix(base, rgb(CREAM), 0.3) if luma(base) < 0.2 else base * np.float32(0.55)
