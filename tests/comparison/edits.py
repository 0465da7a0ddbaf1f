"""Edits of pictures, and sketches made from them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import PIL.Image
import PIL.ImageDraw
from PIL.Image import Resampling, Transpose

from lookalike.comparison.evidence import Evidence, compare
from lookalike.comparison.sketch import THUMBNAIL_SIDE, Sketch, sketch
from lookalike.imaging.thumbnails import encode_thumbnail
from lookalike.types import Pixels

Picture = PIL.Image.Image


def sketch_of(picture: Picture) -> Sketch:
    """The sketch of a picture's thumbnail, as in an index."""
    thumbnail = encode_thumbnail(np.asarray(picture.convert("RGB")), THUMBNAIL_SIDE)
    return sketch(np.asarray(PIL.Image.open(io.BytesIO(thumbnail)).convert("RGB")))


def evidence_of(first: Picture, second: Picture) -> Evidence:
    evidence = compare(sketch_of(first), sketch_of(second))
    assert evidence is not None
    return evidence


def is_copy(first: Picture, second: Picture) -> bool:
    return are_copies(sketch_of(first), sketch_of(second))


def are_copies(first: Sketch, second: Sketch) -> bool:
    evidence = compare(first, second)
    return evidence is not None and evidence.is_copy


# --- edits ----------------------------------------------------------------------------------


def brightened(picture: Picture) -> Picture:
    return picture.point([round(255 * (value / 255) ** 0.6) for value in range(256)] * 3)


def hue_shifted(picture: Picture) -> Picture:
    hsv = np.array(picture.convert("HSV"))
    hsv[..., 0] += 40
    return PIL.Image.fromarray(hsv, "HSV").convert("RGB")


def cropped(picture: Picture) -> Picture:
    """The picture without a fifth of its area, most of it on the left."""
    width, height = picture.size
    return picture.crop((round(0.1 * width), round(0.05 * height), width, round(0.95 * height)))


def tilted(picture: Picture) -> Picture:
    return picture.rotate(4, Resampling.BICUBIC, fillcolor=(255, 255, 255))


def bordered(picture: Picture) -> Picture:
    canvas = PIL.Image.new("RGB", (picture.width + 60, picture.height + 60), (200, 30, 60))
    canvas.paste(picture, (30, 30))
    return canvas


def screenshot(picture: Picture) -> Picture:
    """A page with a bar and words, twice as wide as the picture in it."""
    page = PIL.Image.new("RGB", (2 * picture.width, 2 * picture.height), (250, 250, 250))
    pen = PIL.ImageDraw.Draw(page)
    pen.rectangle((0, 0, page.width, page.height // 12), (60, 90, 160))
    pen.text((20, page.height - 60), "128 likes  12 comments", (20, 20, 20), font_size=24)
    page.paste(picture, (picture.width // 2, picture.height // 3))
    return page


def badged(picture: Picture) -> Picture:
    stamped = picture.copy()
    side = min(picture.size) // 4
    pen = PIL.ImageDraw.Draw(stamped)
    pen.ellipse((5, 5, 5 + side, 5 + side), (230, 40, 50))
    pen.text((5 + side // 3, 5 + side // 3), "AB", "white", font_size=side // 3)
    return stamped


EDITS: dict[str, Callable[[Picture], Picture]] = {
    "small": lambda picture: picture.resize((picture.width // 4, picture.height // 4)),
    "stretched": lambda picture: picture.resize((picture.width, picture.height * 11 // 10)),
    "rotated": lambda picture: picture.transpose(Transpose.ROTATE_90),
    "mirrored": lambda picture: picture.transpose(Transpose.FLIP_LEFT_RIGHT),
    "mirrored and cropped": lambda picture: cropped(picture.transpose(Transpose.TRANSPOSE)),
    "gray": lambda picture: picture.convert("L"),
    "brightened": brightened,
    "hue shifted": hue_shifted,
    "cropped": cropped,
    "tilted": tilted,
    "bordered": bordered,
    "screenshot": screenshot,
    "badged": badged,
}


# --- plain pictures -------------------------------------------------------------------------


def slope(width: int, height: int, power: float) -> Pixels:
    """A smooth change from dark to light, such as a sky."""
    down = np.linspace(0, 1, height)[:, None] ** power
    gray = np.broadcast_to(20 + 200 * down, (height, width))
    return np.repeat(gray[..., None], 3, axis=2).astype(np.uint8)


PLAIN = {
    "white": np.full((200, 300, 3), 255, np.uint8),
    "one pixel": np.full((1, 1, 3), 9, np.uint8),
    "sky": slope(300, 200, 1.0),
    "another sky": slope(300, 220, 1.5),
    "icon": np.random.default_rng(1).integers(0, 256, (16, 16, 3)).astype(np.uint8),
    "line": np.random.default_rng(2).integers(0, 256, (2, 300, 3)).astype(np.uint8),
    "film grain": 128 + np.random.default_rng(3).integers(0, 5, (200, 300, 3)).astype(np.uint8),
}
