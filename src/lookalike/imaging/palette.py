"""Color names: the eleven basic terms, and the dominant colors of a picture."""

from __future__ import annotations

from functools import cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

TERMS = (
    "black", "white", "red", "green", "yellow", "blue", "brown", "purple", "pink", "orange", "grey",
)  # fmt: skip
"""The basic color terms of Berlin and Kay, "Basic Color Terms", 1969."""


def rgb_of(text: str) -> tuple[int, int, int]:
    """The color of "rrggbb" in sRGB, 0 to 255."""
    red, green, blue = bytes.fromhex(text)
    return red, green, blue


# Colors that people call by the term or by one of its shades. The saturated ones follow the color
# survey of 2010 (https://xkcd.com/color/rgb/, public domain): navy, maroon, olive, teal and so on
# stand under the term that they are a shade of. The muted ones are fabrics in room light.
_PROTOTYPES = {
    "black": "000000 141414 222222 1e1c1a 15171e 251f1f 2a2826 2e2a2a 2c2c30",
    "white": "ffffff f0f0f0 e4e4e4 dcdcdc e4dcdc dcd6d6 dcdce4 dcd8cc e8e4d8 fffff0 f5f5dc f0e8dc "
    "e8eef4 fff0f5 faebd7",
    "red": "e50000 ff0000 c00000 840000 650021 610023 8f1402 b02030 dc143c cd3c3c a52a2a 7a2530 "
    "481018",
    "green": "15b01a 008000 96f97b 033500 06470c 029386 06c2ac 00ff00 89fe05 c7fdb5 6e750e 677a04 "
    "3f9b0b 014d4e 137e6d 2e8b57 8fbc8f 556b2f 4a5a3c 6b7a58 9aa88c 2c3a2c 98d8b8 3c6e5c c0e0b0",
    "yellow": "ffff14 ffffa0 ceb301 dbb40c ffd700 f0e68c fae27a e2ca3a ffe860 f5e9a0 c8b432 fffacd",
    "blue": "0343df 0000ff 95d0fc 75bbfd 00035b 001146 01153e 0504aa 000080 191970 2c2c78 34386a "
    "00ffff 0165fc a2cffe 4682b4 add8e6 b0e0e6 40a0c0 3a5a8c 5a7090 7890b0 28344c 1c2438 1a1f30 "
    "2c3048 363c54 a0b8d0 34506c d0e4f4 00b8d8 6495ed 444c80 4169e1 3060c8",
    "brown": "653700 8b4513 ad8150 d1b26f 3d1c02 a0522d d2b48c b9a281 c4a484 8a6e50 6a5040 4a3428 "
    "a89078 c8b090 aaa662 bdb76b 7a5a3c 90603c d8c4a4 7c6c58 cd853f",
    "purple": "7e1e9c 800080 9a0eea bf77f6 c79fef 35063e 380282 580f41 8e82fe 4b006e cea2fd e6e6fa "
    "9370db 6a4a7a 8c78a0 4c3458 b8a8cc 40203c 8b4c84",
    "pink": "ff81c0 ffc0cb ff028d cb416b ffd1df cf6275 c20078 ff00ff e8b4b8 d8a0a8 f4c8c8 c88090 "
    "ae7181 ff69b4 e090a0 fa8072 ff7f7f",
    "orange": "f97306 ffa500 ff8c00 c04e01 ffb07c ca6641 ff7f50 e86830 f8a860 a83c09 ffc48c d87020 "
    "e88a4c",
    "grey": "929591 787878 8c929c b4b4b4 c8c8c8 d2d2d2 5a5a5a 484644 404040 3c3c3c 708090 516572 "
    "9a958e 2f4f4f c6c2bc",
}

SHADES = {term: tuple(map(rgb_of, text.split())) for term, text in _PROTOTYPES.items()}
"""The shades of each term in sRGB, the most typical one first. A search by "blue" is a search by
all of them, since hardly anything has CSS's pure blue, and CSS's brown is a red."""

_MAX_COLORS = 5
_MIN_SHARE = 0.05


def color_term(rgb: tuple[int, int, int]) -> str:
    """Returns the basic term for a color in sRGB, 0 to 255: that of the nearest prototype in
    CIELAB."""
    return TERMS[int(_nearest(lab_of(np.array([rgb])))[0])]


def dominant_colors(
    lab: NDArray[np.uint8],
    bins: NDArray[np.intp],
    weights: NDArray[np.float32],
    counts: NDArray[np.float32],
) -> list[dict[str, Any]]:
    """Returns one to five colors with a share of at least 0.05, the largest first.

    There is one entry for each basic term. Its share is that of all its pixels. Its hex is their
    mean, weighted by the frequency of each pixel's bin, so that it lies among the most common ones.

    Args:
        lab: (height, width, 3), CIELAB in OpenCV's 8-bit scale.
        bins: (height, width), color bins as returned by `color_bins` of the descriptors.
        weights: (height, width), the weight of each pixel; not all zero.
        counts: (16384,), sum of the weights by bin.
    """
    visible = np.flatnonzero(weights)
    bins, weights = bins.ravel().take(visible), weights.ravel().take(visible)
    lab = lab.reshape(-1, 3).take(visible, axis=0)
    terms = _term_of_bin().take(bins)
    shares = np.bincount(terms, weights, len(TERMS)) / weights.sum()
    largest = np.argsort(-shares, kind="stable")[:_MAX_COLORS]
    order = [term for term in largest if shares[term] >= _MIN_SHARE]
    pixel_weights = (weights * counts.take(bins)).astype(np.float64)
    total = np.bincount(terms, pixel_weights, len(TERMS))[order]
    means = [
        np.bincount(terms, pixel_weights * lab[:, channel], len(TERMS))[order] / total
        for channel in range(3)
    ]
    colors = np.stack(means, axis=1).round().astype(np.uint8)[None]
    rgb = np.asarray(cv2.cvtColor(colors, cv2.COLOR_LAB2RGB), np.uint8)[0]
    return [
        {"name": TERMS[term], "hex": f"#{bytes(color).hex()}", "share": round(float(share), 3)}
        for term, color, share in zip(order, rgb, shares[order], strict=True)
    ]


@cache
def _term_of_bin() -> NDArray[np.intp]:
    """(16384,) index into `TERMS` for the center of each color bin."""
    a, b, light = np.meshgrid(*(np.arange(n) for n in (32, 32, 16)), indexing="ij")
    lab = np.stack((light * 16 + 8, a * 8 + 4, b * 8 + 4), axis=-1).reshape(-1, 3)
    return _nearest(_cielab(lab))


@cache
def _prototypes() -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """(n, 3) CIELAB, and (n,) index into `TERMS`."""
    colors = [(TERMS.index(term), rgb) for term, shades in SHADES.items() for rgb in shades]
    lab = lab_of(np.array([rgb for _, rgb in colors]))
    return lab, np.array([term for term, _ in colors], np.intp)


def _nearest(lab: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n,) index into `TERMS` of the prototype nearest to each color of (n, 3)."""
    prototypes, terms = _prototypes()
    distances = lab @ prototypes.T  # in place from here on: for all color bins it is 13 MB
    distances *= -2
    distances += (prototypes**2).sum(axis=1)
    nearest: NDArray[np.intp] = terms[distances.argmin(axis=1)]
    return nearest


def lab_of(rgb: NDArray[np.integer]) -> NDArray[np.float32]:
    """Converts (n, 3) sRGB, 0 to 255, to CIELAB."""
    scaled = (rgb / 255).astype(np.float32)[None]
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_RGB2LAB)[0], np.float32)


def _cielab(steps: NDArray[np.int_]) -> NDArray[np.float32]:
    """Converts OpenCV's 8-bit scale to CIELAB's own."""
    return ((steps - (0, 128, 128)) * (100 / 255, 1, 1)).astype(np.float32)
