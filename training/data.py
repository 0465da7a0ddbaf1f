"""The training photos, decoded once, and their split.

Two parts are never trained on, chosen by a fixed seed: whole classes (`unseen`), and one in twenty
photos of every other class (`held`). Photos without a usable label are trained on, because the
teacher recognizes their content.
"""

from __future__ import annotations

import csv
import zipfile
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

DATA = Path(__file__).parents[2] / "shared" / "data" / "train"
SEED = 6
SIDE = 128  # pixels of the network's input

UNLABELLED = {"", "Not sure", "BACKGROUND_Google"}
SAME_CLASS = {"Faces_easy": "Faces"}
# Number of unseen classes from each source, and their minimum size.
UNSEEN = {"caltech101": (12, 30), "grocery": (8, 15), "clothing": (1, 100)}

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Photos:
    """Decoded RGB pictures, their labels as `source/label` ('' where unlabeled), and the split."""

    pixels: list[Pixels]
    labels: list[str]
    sources: list[str]
    split: NDArray[np.str_]  # 'train', 'held' or 'unseen' for each photo

    def rows(self, part: str) -> NDArray[np.intp]:
        return np.flatnonzero(self.split == part)


def load(folder: Path) -> Photos:
    """Loads the photos of `images.zip` that `labels.csv` lists, about 1 GB."""
    with (folder / "labels.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    archive = zipfile.ZipFile(folder / "images.zip")
    prefix = _prefix(archive, table[0]["file"])
    blobs = [archive.read(prefix + row["file"]) for row in table]
    with ThreadPoolExecutor(2) as pool:
        pixels = list(pool.map(decode, blobs))
    labels = [_label(row["source"], row["label"]) for row in table]
    sources = [row["source"] for row in table]
    return Photos(pixels, labels, sources, split(labels, sources))


def decode(blob: bytes) -> Pixels:
    """Decodes to (h, w, 3) RGB."""
    flags = cv2.IMREAD_COLOR_RGB
    return np.asarray(cv2.imdecode(np.frombuffer(blob, np.uint8), flags), np.uint8)


def split(labels: list[str], sources: list[str]) -> NDArray[np.str_]:
    rng = np.random.default_rng(SEED)
    counts = Counter(zip(sources, labels, strict=True))
    unseen: set[str] = set()
    for source, (number, least) in UNSEEN.items():
        large = sorted(
            name for (of, name), n in counts.items() if of == source and name and n >= least
        )
        # The largest clothing classes make up most of their source, so they are trained on.
        large = [name for name in large if counts[source, name] <= 250]
        unseen.update(rng.choice(large, number, replace=False).tolist())
    parts = np.full(len(labels), "train", dtype="<U6")
    members = defaultdict(list)
    for row, (source, label) in enumerate(zip(sources, labels, strict=True)):
        members[source, label].append(row)
    for (_, label), rows in sorted(members.items()):
        if label in unseen:
            parts[rows] = "unseen"
        else:
            parts[rng.permutation(rows)[: round(len(rows) / 20)]] = "held"
    return parts


def square(pixels: Pixels, side: int = SIDE) -> Pixels:
    """Squashes the whole picture to (side, side, 3), the network's input in the package."""
    return np.asarray(cv2.resize(pixels, (side, side), interpolation=cv2.INTER_AREA), np.uint8)


def _prefix(archive: zipfile.ZipFile, name: str) -> str:
    full_name = next(n for n in archive.namelist() if n.endswith(name))
    return full_name[: -len(name)]


def _label(source: str, label: str) -> str:
    return "" if label in UNLABELLED else f"{source}/{SAME_CLASS.get(label, label)}"
