"""Training pictures: views drawn with random variations."""

from __future__ import annotations

from collections.abc import Iterator
from multiprocessing.sharedctypes import Synchronized

import cv2
import numpy as np
import torch
import views
from cv2.typing import MatLike
from data import Pixels
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info
from views import Recipes

Batch = tuple[Tensor, Tensor]  # uint8, n x 3 x side x side; numbers of the views


class Pictures(IterableDataset[Batch]):
    """Endless batches of views in random order. No view repeats before all have been drawn."""

    def __init__(
        self, photos: list[Pixels], recipes: Recipes, batch: int, side: Synchronized[int], seed: int
    ) -> None:
        self.photos, self.recipes, self.batch, self.side = photos, recipes, batch, side
        self.seed = seed

    def __iter__(self) -> Iterator[Batch]:
        cv2.setNumThreads(1)
        info = get_worker_info()
        rng = np.random.default_rng((self.seed, info.id if info else 0))
        while True:
            order = rng.permutation(len(self.recipes))
            for start in range(0, len(order) - self.batch + 1, self.batch):
                numbers = order[start : start + self.batch]
                side = self.side.value
                squares = [varied(rng, self.photos, self.recipes[n], side) for n in numbers]
                pixels = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2)
                yield pixels, torch.from_numpy(numbers)


def varied(rng: np.random.Generator, photos: list[Pixels], recipe: np.void, side: int) -> Pixels:
    """Draws a view with a random shift, mirroring, rotation, tint and loss of quality."""
    recipe = recipe.copy()
    recipe["box"] = shifted(rng, recipe["box"])
    recipe["other_box"] = shifted(rng, recipe["other_box"])
    square: MatLike = views.draw(photos, recipe, side)
    if rng.random() < 0.5:
        square = cv2.flip(square, 1)
    if rng.random() < 0.15:
        turn = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-8, 8), 1.03)
        square = cv2.warpAffine(square, turn, (side, side), borderMode=cv2.BORDER_REFLECT_101)
    if rng.random() < 0.8:
        square = cv2.transform(square, tint(rng))
    return degraded(rng, square, side)


def shifted(rng: np.random.Generator, box: NDArray[np.float32]) -> NDArray[np.float32]:
    """Moves the edges of a box by up to 5 %, within the photo; in 40 % of cases not at all."""
    if rng.random() < 0.4:
        return box
    size = np.tile(box[2:] - box[:2], 2)
    return np.clip(box + size * rng.uniform(-0.05, 0.05, 4), 0, 1).astype(np.float32)


def tint(rng: np.random.Generator) -> NDArray[np.float32]:
    """Returns a (3, 4) color matrix of random brightness, contrast, saturation, hue and cast."""
    gray = np.full((3, 3), [0.299, 0.587, 0.114])
    saturation = rng.uniform(0.7, 1.3)
    matrix = saturation * np.eye(3) + (1 - saturation) * gray
    if rng.random() < 0.3:  # a rotation about the gray axis
        angle = rng.uniform(-0.3, 0.3)
        axis = np.full((3, 3), 1 / 3)
        skew = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / np.sqrt(3)
        turn = np.cos(angle) * np.eye(3) + np.sin(angle) * skew + (1 - np.cos(angle)) * axis
        matrix = matrix @ turn
    matrix *= rng.uniform(0.75, 1.25) * rng.uniform(0.94, 1.06, (3, 1))
    offset = rng.uniform(-25, 25, (3, 1)) * [[1], [1], [1]]
    return np.hstack([matrix, np.full((3, 1), offset.mean())]).astype(np.float32)


def degraded(rng: np.random.Generator, square: MatLike, side: int) -> Pixels:
    """Degrades a picture as a careless resize, sharpening, blurring or JPEG encoding does."""
    made = square
    match rng.integers(8):
        case 0:
            small = int(rng.integers(side // 3, side))
            made = cv2.resize(made, (small, small), interpolation=cv2.INTER_AREA)
            made = cv2.resize(made, (side, side), interpolation=cv2.INTER_LINEAR)
        case 1 | 2:  # pictures in use come from larger and sharper files than these
            soft = cv2.GaussianBlur(made, (3, 3), 0.8)
            sharpness = rng.uniform(0.3, 1.0)
            made = cv2.addWeighted(made, 1 + sharpness, soft, -sharpness, 0)
        case 3 if rng.random() < 0.5:
            made = cv2.GaussianBlur(made, (0, 0), rng.uniform(0.4, 1.2))
        case _:
            pass
    if rng.random() < 0.12:
        quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))]
        saved = cv2.imencode(".jpg", made, quality)[1]
        made = np.asarray(cv2.imdecode(saved, cv2.IMREAD_COLOR))
    return np.asarray(made, np.uint8)
