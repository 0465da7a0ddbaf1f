"""Views of the training photos, and the teacher's embedding of each.

A view is a recipe: a photo, a part of it, and possibly a second photo to mix it with. It is drawn
anew each time it is trained on; only the teacher's embedding is stored. There are three kinds:

whole    the photo squashed to a square, as in the package. Its embedding is the mean of four:
         squashed and cropped to the central square, each also mirrored.
crop     35 to 100 % of the area, with an aspect ratio of up to 4 : 3.
mixture  a second crop laid over a part of the first, or blended with it. Its embedding is that of
         the mixture itself.

    python views.py --out DIR [--data DIR] [--limit N]

writes DIR/views.npy (recipes) and DIR/targets.npy (float16, n x 1280).
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import data
import numpy as np
import onnxruntime
from data import Pixels
from numpy.typing import NDArray

CROPS, MIXTURES = 5, 3  # of each photo
TEACHER_SIDE = 224

RECIPE = np.dtype(
    [
        ("photo", "i4"),
        ("box", "f4", 4),  # left, top, right, bottom, as shares of the sides
        ("other", "i4"),  # -1: no mixture
        ("other_box", "f4", 4),
        ("place", "f4", 4),  # position of the other in the square
        ("weight", "f4"),  # of the other, at its position
        ("whole", "?"),
    ]
)
Recipes = NDArray[np.void]
WHOLE = (0.0, 0.0, 1.0, 1.0)


def recipes(photos: data.Photos) -> Recipes:
    """Returns one whole view of each training photo, then all crops, then all mixtures."""
    rng = np.random.default_rng(data.SEED)
    rows = photos.rows("train")
    views = [(row, WHOLE, -1, WHOLE, WHOLE, 0.0, True) for row in rows]
    for _ in range(CROPS):
        views += [
            (row, crop_box(rng, photos.pixels[row]), -1, WHOLE, WHOLE, 0.0, False) for row in rows
        ]
    for _ in range(MIXTURES):
        for row, other in zip(rows, rng.permutation(rows), strict=True):
            boxes = [crop_box(rng, photos.pixels[r], 0.5) for r in (row, other)]
            weight = 1.0 if rng.random() < 0.7 else rng.uniform(0.3, 0.7)
            place = place_box(rng) if weight == 1.0 else WHOLE
            views.append((row, boxes[0], other, boxes[1], place, weight, False))
    return np.array(views, RECIPE)


def crop_box(
    rng: np.random.Generator, pixels: Pixels, least: float = 0.35
) -> tuple[float, float, float, float]:
    """Returns a random box with at least the given share of the area."""
    height, width = pixels.shape[:2]
    area = rng.uniform(least, 1.0)
    ratio = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))  # of the crop's sides, in pixels
    if rng.random() < 0.3:
        ratio *= width / height  # keeps the shape of the photo, to be squashed with it
    w = min(1.0, float(np.sqrt(area * ratio * height / width)))
    h = min(1.0, float(np.sqrt(area / ratio * width / height)))
    x, y = rng.uniform(0, 1 - w), rng.uniform(0, 1 - h)
    return x, y, x + w, y + h


def place_box(rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Returns a strip along an edge of the square, or a box inside it."""
    share = rng.uniform(0.3, 0.6)
    match rng.integers(4):
        case 0:
            return 0.0, 0.0, share, 1.0
        case 1:
            return 0.0, 0.0, 1.0, share
        case _:
            side = float(np.sqrt(share))
            x, y = rng.uniform(0, 1 - side, 2)
            return x, y, x + side, y + side


def cut(pixels: Pixels, box: NDArray[np.float32], side: tuple[int, int]) -> Pixels:
    """Cuts a box out of a photo and resizes it to side = (width, height)."""
    height, width = pixels.shape[:2]
    left, right = (min(width - 1, round(float(box[0]) * width)), round(float(box[2]) * width))
    top, bottom = (min(height - 1, round(float(box[1]) * height)), round(float(box[3]) * height))
    part = pixels[top : max(bottom, top + 1), left : max(right, left + 1)]
    shrinks = part.shape[0] >= side[1] and part.shape[1] >= side[0]
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(part, side, interpolation=method), np.uint8)


def draw(photos: list[Pixels], recipe: np.void, side: int) -> Pixels:
    """Draws a view as a square of the given side."""
    square = cut(photos[recipe["photo"]], recipe["box"], (side, side))
    if recipe["other"] < 0:
        return square
    left, top, right, bottom = (round(float(edge) * side) for edge in recipe["place"])
    upper = cut(photos[recipe["other"]], recipe["other_box"], (right - left, bottom - top))
    lower = square[top:bottom, left:right]
    weight = float(recipe["weight"])
    square[top:bottom, left:right] = cv2.addWeighted(upper, weight, lower, 1 - weight, 0)
    return square


def central(pixels: Pixels, side: int) -> Pixels:
    """Crops to the central square."""
    height, width = pixels.shape[:2]
    short = min(height, width)
    top, left = (height - short) // 2, (width - short) // 2
    return data.square(pixels[top : top + short, left : left + short], side)


def teacher_inputs(photos: list[Pixels], recipe: np.void) -> list[Pixels]:
    """Returns the squares whose mean embedding is the target of the view."""
    square = draw(photos, recipe, TEACHER_SIDE)
    if not recipe["whole"]:
        return [square]
    squares = [square, central(photos[recipe["photo"]], TEACHER_SIDE)]
    return squares + [np.ascontiguousarray(s[:, ::-1]) for s in squares]


def embed(teacher: onnxruntime.InferenceSession, squares: list[Pixels]) -> NDArray[np.float32]:
    """Returns the teacher's embeddings, (n, 1280)."""
    blob = np.stack(squares).transpose(0, 3, 1, 2).astype(np.float32)
    blob = np.ascontiguousarray(blob / np.float32(127.5) - np.float32(1))
    return np.asarray(teacher.run(["image_embeds"], {"pixel_values": blob})[0])


def targets_of(
    teacher: onnxruntime.InferenceSession, photos: list[Pixels], views: Recipes, batch: int = 32
) -> Iterator[NDArray[np.float32]]:
    """Yields the targets of all views, batch by batch."""

    def targets(start: int) -> NDArray[np.float32]:
        inputs = [teacher_inputs(photos, recipe) for recipe in views[start : start + batch]]
        embeddings = embed(teacher, [square for squares in inputs for square in squares])
        ends = np.cumsum([len(squares) for squares in inputs])[:-1]
        return np.stack([rows.mean(axis=0) for rows in np.split(embeddings, ends)])

    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(targets, range(0, len(views), batch))


def open_teacher(folder: Path) -> onnxruntime.InferenceSession:
    """Opens the teacher with one thread for each call; calls come from two threads."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(folder / "teacher" / "mobilenet_v2.onnx", options)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data.DATA)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--limit", type=int, help="views of each kind, for a trial")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    photos = data.load(options.data)
    views = recipes(photos)
    if options.limit:
        views = views[:: max(1, len(views) // options.limit)]
    options.out.mkdir(parents=True, exist_ok=True)
    np.save(options.out / "views.npy", views)
    start, done, targets = time.monotonic(), 0, np.zeros((len(views), 1280), np.float16)
    for rows in targets_of(open_teacher(options.data), photos.pixels, views):
        targets[done : done + len(rows)] = rows
        done += len(rows)
        if done % 3200 < len(rows):
            print(f"{done} of {len(views)} views, {time.monotonic() - start:.0f} s", flush=True)
    np.save(options.out / "targets.npy", targets)


if __name__ == "__main__":
    main()
