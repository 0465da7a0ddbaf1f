"""Painting of parts into a layer: polygons, soft and round shading, folds."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lookalike.demo.drawing.colors import CREAM, Field, mix, rgb
from lookalike.demo.drawing.outlines import Points, moved
from lookalike.demo.drawing.parts import Part
from lookalike.demo.drawing.patterns import Cloth, cloud

_SUPERSAMPLING = 4


@dataclass(frozen=True, slots=True)
class Paint:
    """The surface of a part.

    Attributes:
        cloth: its color and pattern.
        opacity: 0 to 1.
        gloss: strength of its highlights, 0 to 1.
        folds: depth of its folds; 1 for ordinary cloth.
    """

    cloth: Cloth
    opacity: float = 1.0
    gloss: float = 0.0
    folds: float = 0.0


@dataclass(frozen=True, slots=True)
class Pose:
    """A placement of product units in the picture: rotation, then scale, then shift."""

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
        """Fits a product into a frame.

        Args:
            parts: the parts of the product.
            frame: x0, y0, x1 and y1 in pixels.
            angle: rotation in radians.
            stand: places the product on the lower edge of the frame instead of its center.
        """
        whole = cls(1.0, angle, 0.0, 0.0).place(np.vstack([o for p in parts for o in p.outlines]))
        (left, top), (right, bottom) = whole.min(axis=0), whole.max(axis=0)
        x0, y0, x1, y1 = frame
        scale = float(min((x1 - x0) / (right - left), (y1 - y0) / (bottom - top)))
        y = y1 - scale * bottom if stand else (y0 + y1 - scale * (top + bottom)) / 2
        return cls(scale, angle, (x0 + x1 - scale * (left + right)) / 2, y)

    def place(self, points: Points) -> Points:
        """Converts product units to pixels."""
        c, s = math.cos(self.angle), math.sin(self.angle)
        rotated: Points = points @ np.array([[c, s], [-s, c]])
        return moved(rotated * self.scale, self.x, self.y)

    def units(self, x: Field, y: Field, turn: float) -> tuple[Field, Field]:
        """Converts pixels to product units, on cloth rotated by `turn` degrees."""
        angle = self.angle - math.radians(turn)
        c, s = np.float32(math.cos(angle) / self.scale), np.float32(math.sin(angle) / self.scale)
        x, y = x - np.float32(self.x), y - np.float32(self.y)
        return x * c + y * s, y * c - x * s


@dataclass(frozen=True, slots=True)
class Layer:
    """A painted product without a background.

    Attributes:
        color: (3, h, w), multiplied by the cover.
        cover: (h, w), opacity from 0 to 1.
    """

    color: Field
    cover: Field


def paint_product(
    parts: Sequence[Part], paints: Mapping[str, Paint], pose: Pose, size: tuple[int, int]
) -> Layer:
    """Paints the parts in order on a transparent layer; `size` is (width, height) in pixels."""
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
    large = Image.new("L", ((x1 - x0) * _SUPERSAMPLING, (y1 - y0) * _SUPERSAMPLING))
    draw = ImageDraw.Draw(large)
    for outline in outlines:
        draw.polygon([(x, y) for x, y in (outline - [x0, y0]) * _SUPERSAMPLING], fill=255)
    return np.asarray(large.reduce(_SUPERSAMPLING), np.float32) / 255


def blurred(field: Field, radius: float) -> Field:
    """Applies a Gaussian blur; a wide one works on a smaller picture, which looks the same."""
    picture = Image.fromarray((field * 255).astype(np.uint8))
    shrink = max(1, int(radius / 2.5))
    small = picture.reduce(shrink).filter(ImageFilter.GaussianBlur(radius / shrink))
    if shrink > 1:  # enlarged as floats, because steps of whole levels would show as lines
        small = small.convert("F").resize(picture.size, Image.Resampling.BICUBIC)
    return np.asarray(small, np.float32) / 255


def _soft_light(mask: Field, reach: float, paint: Paint) -> Field:
    """Returns the light from the upper left on a soft edge and on the folds of cloth."""
    height = blurred(mask, reach)
    down, right = np.gradient(height)
    slope = (down * np.float32(0.75) + right * np.float32(0.45)) * np.float32(reach)
    light = slope * np.float32(0.62 + paint.gloss) - (1 - height) * np.float32(0.16)
    if paint.folds:
        rows, columns = mask.shape
        folds = cloud(mask.shape, (3, max(3, round(columns / 26))), paint.cloth.seed + rows)
        light += folds * np.float32(0.038 * paint.folds)
    return light


def _across(mask: Field, foot: int) -> Field:
    """Returns for each pixel its place in its row of a form: -1 at the left edge, 1 at the right.

    In the last `foot` rows, where the bottom curves in, the edges are those of the rows above.
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
