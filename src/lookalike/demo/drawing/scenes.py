"""Scenes: backgrounds, shadows, and their composition with a product."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from lookalike.demo.drawing.colors import Field, mix, rgb
from lookalike.demo.drawing.painting import Layer, blurred
from lookalike.demo.drawing.patterns import cloud


@dataclass(frozen=True, slots=True)
class Backdrop:
    """The background of a product.

    Attributes:
        wall: color of the wall, or of the whole background if there is no floor.
        floor: color of the floor, if any.
        wood: draws boards on the floor, or on the whole background if there is no floor.
        horizon: upper edge of the floor, as a share of the height.
    """

    wall: str
    floor: str | None = None
    wood: bool = False
    horizon: float = 0.72

    def paint(self, size: tuple[int, int], seed: int) -> Field:
        """Paints the background, (3, height, width), for a size (width, height)."""
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
        # A little noise keeps pale gradients from showing bands.
        dither = np.random.default_rng(seed).standard_normal((height, width), np.float32)
        dither *= np.float32(0.004)
        return np.clip(scene + dither, 0, 1).astype(np.float32)


def _boards(shape: tuple[int, int], tone: str, seed: int) -> Field:
    """Paints horizontal boards, (3, height, width), of slightly different tones, with a grain."""
    board = np.linspace(0, 5.5, shape[0], dtype=np.float32)[:, None]
    tones = np.random.default_rng(seed).normal(0, 0.022, 8).astype(np.float32)
    wave = cloud(shape, (12, 3), seed)
    rings: Field = np.sin(board * np.float32(40) + wave * np.float32(2.2)) * np.float32(0.011)
    streaks = cloud(shape, (shape[0] // 2, 5), seed + 1) * np.float32(0.009)
    gap: Field = np.exp(-(((board + 0.5) % 1 - 0.5) ** 2) / 0.00035) * np.float32(0.2)
    light: Field = 1 + tones[board.astype(int) % 8] + rings + streaks - gap
    return rgb(tone) * light


def shadow(cover: Field, stand: bool) -> Field:
    """Returns the shadow of a product on its background, (h, w), from 0 for none to 1.

    A standing product casts a pool on the floor, any other a soft copy of its shape.
    """
    height, width = cover.shape
    if not stand:
        fall = np.roll(cover, (round(height * 0.016), round(width * 0.014)), (0, 1))
        near, far = blurred(fall, height * 0.008), blurred(fall, height * 0.03)
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
    """Composes background, shadow and product into an RGB picture."""
    tint = rgb("#4a4048")  # a shadow is never quite black
    ground = mix(backdrop, backdrop * tint, shadow(layer.cover, stand))
    return _picture(ground * (1 - layer.cover) + layer.color)


def cut_out(layer: Layer) -> Image.Image:
    """Returns the product alone as an RGBA picture."""
    color = layer.color / np.maximum(layer.cover, np.float32(1e-3))
    return _picture(np.concatenate([color, layer.cover[None]]))


def _picture(planes: Field) -> Image.Image:
    levels = (np.clip(planes, 0, 1) * 255 + np.float32(0.5)).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.moveaxis(levels, 0, -1)))
