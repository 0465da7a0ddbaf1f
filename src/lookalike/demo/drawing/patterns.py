"""Patterns of the drawn products.

A pattern is a function of a place on the cloth. So it stays sharp at every size, turns with a
sleeve and bends around a vase.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from PIL import Image

from lookalike.demo.drawing.colors import CREAM, Field, luma, mix, rgb


@dataclass(frozen=True, slots=True)
class Cloth:
    """A covering: a pattern with its colors and its variant.

    Attributes:
        pattern: a key of `PATTERNS`.
        base: the main color; (3, 1, 1).
        accent: the second color, clearly lighter or darker; (3, 1, 1).
        scale: size of the repeat; 1 is ordinary.
        style: variant of the pattern.
        seed: seed of its irregularities.
    """

    pattern: str
    base: Field
    accent: Field
    scale: float = 1.0
    style: int = 0
    seed: int = 0

    @property
    def tonal(self) -> Field:
        """A clear step from the base within its hue, so that weaves stay one color."""
        light = luma(self.base)
        if light > 0.6:
            return self.base * np.float32(0.86 if light > 0.9 else 0.77)
        return mix(self.base, rgb(CREAM), 0.34)

    @property
    def deep(self) -> Field:
        """The base in shadow, or a lighter base if it is near-black."""
        light = luma(self.base)
        if light < 0.16:
            return mix(self.base, rgb(CREAM), 0.2)
        return self.base * np.float32(0.88 if light > 0.9 else 0.72)

    def color(self, u: Field, v: Field, pixel: float) -> Field:
        """Returns the colors (3, h, w) at places on the cloth; all lengths are product units.

        Args:
            u, v: (h, w), the places across and along the cloth.
            pixel: side of a pixel, over which edges are softened.
        """
        size = np.float32(self.scale)
        return PATTERNS[self.pattern](self, u / size, v / size, pixel / self.scale)


def cloud(shape: tuple[int, ...], cells: tuple[int, int], seed: int) -> Field:
    """Returns smooth noise of mean 0 and spread about 1, with `cells` (down, across) bumps."""
    grid = np.random.default_rng(seed).normal(size=cells).astype(np.float32)
    picture = Image.fromarray(grid).resize((shape[1], shape[0]), Image.Resampling.BICUBIC)
    return np.asarray(picture, np.float32)


def _grain(shape: tuple[int, ...], pixels: float, seed: int) -> Field:
    cells = (max(2, round(shape[0] / pixels)), max(2, round(shape[1] / pixels)))
    return cloud(shape, cells, seed)


def _inside(distance: Field, pixel: float) -> Field:
    """Returns 1 inside an edge and 0 outside, soft over a pixel; `distance` is negative inside."""
    cover: Field = np.clip(0.5 - distance / np.float32(pixel), 0, 1)
    return cover


def _bars(x: Field, period: float, width: float, pixel: float) -> Field:
    """Returns bars of a width, repeated with a period."""
    off = np.abs((x / np.float32(period)) % 1 - 0.5) * np.float32(period)
    return _inside(off - np.float32(width / 2), pixel)


def _lit(color: Field, relief: Field) -> Field:
    """Brightens a color where the relief is positive, near-black included."""
    return color * (1 + relief) + np.maximum(relief, 0) * np.float32(0.2)


def _plain(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    return cloth.base


def _stripes(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    along = (v, u, (u + v) * np.float32(0.7071))[cloth.style % 3]
    period = (9.0, 6.5, 12.0)[cloth.style // 3 % 3]
    cover = _bars(along, period, period * 0.32, pixel)
    if cloth.style >= 9:  # a thin line between the stripes
        cover = np.maximum(cover, _bars(along + np.float32(period / 2), period, 0.8, pixel))
    return mix(cloth.base, cloth.accent, cover)


def _dots(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    period = np.float32((9.0, 6.5, 12.0)[cloth.style % 3])
    shift = np.floor(v / period) % 2 * np.float32(0.5)
    across, along = (u / period + shift) % 1 - 0.5, (v / period) % 1 - 0.5
    away = np.hypot(across, along) * period
    return mix(cloth.base, cloth.accent, _inside(away - period * np.float32(0.25), pixel))


def _check(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    period = (18.0, 14.0, 10.0)[cloth.style % 3]
    half = np.float32(period / 2)
    if cloth.style % 3 == 2:  # window-pane
        lines = np.maximum(_bars(u, period, 1.3, pixel), _bars(v, period, 1.3, pixel))
        return mix(cloth.base, cloth.accent, lines)
    bands = (_bars(u, period, period * 0.4, pixel) + _bars(v, period, period * 0.4, pixel)) / 2
    lines = np.maximum(
        _bars(u + half, period, 0.9, pixel), _bars(v + half, period, 0.9, pixel)
    ) * np.float32(0.8)
    return mix(mix(cloth.base, cloth.deep, bands), cloth.accent, lines)


def _herringbone(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    rib = np.abs((u / np.float32(5)) % 2 - 1) * np.float32(5)
    return mix(cloth.base, cloth.tonal, _bars(v + rib, 3.2, 1.2, pixel))


def _zigzag(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    rise = np.abs((u / np.float32(6)) % 2 - 1) * np.float32(6)
    return mix(cloth.base, cloth.accent, _bars(v + rise, 10, 3.0, pixel))


def _floral(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    period = np.float32((13.0, 10.0)[cloth.style % 2])
    row = np.floor(v / period)
    across = u / period + row % 2 * np.float32(0.5)
    column = np.floor(across)
    chance = np.random.default_rng(cloth.seed).random((3, 16, 16), np.float32)
    turn, east, south = chance[:, row.astype(int) % 16, column.astype(int) % 16]
    x = (across % 1 - 0.5 - (east - 0.5) * 0.3) * period
    y = ((v / period) % 1 - 0.5 - (south - 0.5) * 0.3) * period
    away, angle = np.hypot(x, y), np.arctan2(y, x) + turn * np.float32(6.28)
    petals = period * (0.235 + 0.075 * np.cos(5 * angle))
    # Leaves stand between the flowers, where four cells meet.
    leaf_x, leaf_y = (across + 0.5) % 1 - 0.5, (v / period + 0.5) % 1 - 0.5
    leaf = np.hypot((leaf_x + leaf_y) * 0.62, (leaf_x - leaf_y) * 1.5) * period - period * 0.12
    color = mix(cloth.base, cloth.tonal, _inside(leaf.astype(np.float32), pixel))
    color = mix(color, cloth.accent, _inside((away - petals).astype(np.float32), pixel))
    heart = _inside(away - period * np.float32(0.085), pixel)
    return mix(color, mix(cloth.base, cloth.accent, 0.25), heart)


def _knit(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    rib = np.abs((u / np.float32(1.9)) % 2 - 1)
    stitch = np.cos((v + rib * np.float32(1.7)) * np.float32(2 * np.pi / 2.6))
    gap = np.abs(rib - 0.5) * 2  # the furrows between columns of stitches
    relief = (stitch * 0.12 - gap**4 * 0.16).astype(np.float32)
    return _lit(cloth.base, relief)


def _corduroy(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    wale = np.cos(u * np.float32(2 * np.pi / 2.9)) * np.float32(0.12)
    return _lit(cloth.base, wale)


def _denim(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    twill = np.cos((u + v) * np.float32(2 * np.pi / 1.15)) * np.float32(0.045)
    wear = _grain(u.shape, 40, cloth.seed) * np.float32(0.05)
    slub = cloud(u.shape, (u.shape[0] // 9 + 2, u.shape[1] // 2 + 2), cloth.seed)
    return _lit(cloth.base, twill + wear + slub * np.float32(0.035))


def _leather(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    patina = _grain(u.shape, 45, cloth.seed) * np.float32(0.04)
    pores = _grain(u.shape, 3.6, cloth.seed + 1) * np.float32(0.036)
    return _lit(cloth.base, patina + pores)


def _speckle(cloth: Cloth, u: Field, v: Field, pixel: float) -> Field:
    cell = np.float32(3.4)
    row, column = np.floor(v / cell).astype(int) % 32, np.floor(u / cell).astype(int) % 32
    chance = np.random.default_rng(cloth.seed).random((3, 32, 32), np.float32)
    east, south, big = chance[:, row, column]
    x, y = (u / cell) % 1 - 0.3 - 0.4 * east, (v / cell) % 1 - 0.3 - 0.4 * south
    away = np.hypot(x, y) * cell - (big**2) * np.float32(0.85)
    return mix(cloth.base, cloth.accent, _inside(away, pixel) * np.float32(0.85))


PATTERNS: dict[str, Callable[[Cloth, Field, Field, float], Field]] = {
    "plain": _plain,
    "stripes": _stripes,
    "dots": _dots,
    "check": _check,
    "herringbone": _herringbone,
    "zigzag": _zigzag,
    "floral": _floral,
    "knit": _knit,
    "corduroy": _corduroy,
    "denim": _denim,
    "leather": _leather,
    "speckle": _speckle,
}
