"""Pictures drawn by the tests themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

COLORS = ("red", "green", "blue", "orange", "purple", "black", "brown", "pink")
SHAPES = ("ellipse", "rectangle", "triangle", "bars")


def draw(seed: int, *, size: tuple[int, int] = (120, 160)) -> Image.Image:
    """A colored shape on a light ground, different for each seed."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, (245, 244, 240))
    pen = ImageDraw.Draw(image)
    color = COLORS[seed % len(COLORS)]
    x, y = rng.integers(8, 30, 2)
    box = (int(x), int(y), size[0] - int(rng.integers(8, 30)), size[1] - int(rng.integers(8, 30)))
    match SHAPES[seed // len(COLORS) % len(SHAPES)]:
        case "ellipse":
            pen.ellipse(box, fill=color)
        case "rectangle":
            pen.rectangle(box, fill=color)
        case "triangle":
            pen.polygon([(box[0], box[3]), (box[2], box[3]), (size[0] // 2, box[1])], fill=color)
        case _:
            for top in range(box[1], box[3], 16):
                pen.rectangle((box[0], top, box[2], top + 7), fill=color)
    return image


def folder_of(path: Path, count: int, *, first: int = 0) -> Path:
    """Writes `count` JPEGs, 000.jpg, 001.jpg, …, to a folder."""
    path.mkdir(parents=True, exist_ok=True)
    for i in range(first, first + count):
        draw(i).save(path / f"{i:03}.jpg", quality=92)
    return path


def many_files(path: Path, count: int) -> Path:
    """A folder with ten images in many files, no two of them equal."""
    folder = folder_of(path, 10)
    for i in range(10, count):
        data = (folder / f"{i % 10:03}.jpg").read_bytes()
        (folder / f"{i:05}.jpg").write_bytes(data + i.to_bytes(4, "big"))
    return folder


def scene(seed: int, *, size: tuple[int, int] = (480, 360)) -> Image.Image:
    """A picture with as much detail as a photo, different for each seed."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", size, tuple(rng.integers(60, 220, 3).tolist()))
    pen = ImageDraw.Draw(image)
    for _ in range(90):
        x, y = rng.integers(0, size[0]), rng.integers(0, size[1])
        reach = int(rng.integers(8, 70))
        corners = rng.integers(-reach, reach + 1, (int(rng.integers(3, 6)), 2)) + np.array((x, y))
        color = tuple(rng.integers(0, 256, 3).tolist())
        pen.polygon([tuple(corner) for corner in corners.tolist()], fill=color)
    return image
