"""Figures of an exported model.

    python evaluate.py MODEL [--data DIR] [--yardstick DIR] [--exact MODEL] [--others]

precision@10   share of the ten nearest others (by cosine) with the same label, averaged over all
               pictures: on the held-out photos and the unseen classes, and with --yardstick on
               the project's test sets `catalog` and `photos`. Never tune on these two.
itself         share of 500 held-out pictures that are nearest to a copy of themselves: mirrored,
               cropped by 5 % on each side, or shrunk and enlarged again.
agreement      with --exact: share of the ten nearest that this model and another have in common.
speed          pictures per second with one thread, and with two callers of one thread each.
--others       also evaluates the teacher and a color histogram (HSV, 8 x 4 x 4 bins).
"""

from __future__ import annotations

import argparse
import csv
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import data
import metrics
import numpy as np
import onnxruntime
import views
from data import Pixels
from metrics import Embed, Rows
from numpy.typing import NDArray

BATCH = 32
YARDSTICKS = {"catalog": ("catalog.csv", "category"), "photos": ("labels.csv", "label")}


def open_model(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def embedder(session: onnxruntime.InferenceSession) -> Embed:
    def embed(squares: list[Pixels]) -> Rows:
        parts = [squares[start : start + BATCH] for start in range(0, len(squares), BATCH)]
        return np.concatenate([session.run(None, {"pixels": np.stack(p)})[0] for p in parts])

    return embed


def teacher(folder: Path, mean: Rows) -> Embed:
    """Returns the teacher on squashed pictures, centered on its mean over the training views."""
    session = views.open_teacher(folder)

    def embed(pictures: list[Pixels]) -> Rows:
        squares = [data.square(p, views.TEACHER_SIDE) for p in pictures]
        parts = [squares[start : start + BATCH] for start in range(0, len(squares), BATCH)]
        return np.concatenate([views.embed(session, part) for part in parts]) - mean

    return embed


def histogram(pictures: list[Pixels]) -> Rows:
    rows = []
    for pixels in pictures:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, [8, 4, 4], [0, 180, 0, 256, 0, 256])
        rows.append(counts.ravel() / counts.sum())
    return np.asarray(rows, np.float32)


Sets = dict[str, tuple[list[Pixels], list[str]]]


def read_sets(folder: Path, yardstick: Path | None) -> Sets:
    """Returns unmodified pictures and their labels, by the name of the set."""
    photos = data.load(folder)
    sets: Sets = {}
    for part in ("held", "unseen"):
        rows = [row for row in photos.rows(part) if photos.labels[row]]
        sets[part] = [photos.pixels[r] for r in rows], [photos.labels[r] for r in rows]
    if not yardstick:
        return sets
    for name, (table, column) in YARDSTICKS.items():
        with (yardstick / name / table).open(newline="") as file:
            lines = list(csv.DictReader(file))
        files = [yardstick / name / line["file"] for line in lines]
        sets[name] = [data.decode(f.read_bytes()) for f in files], [r[column] for r in lines]
    return sets


def self_recall(embed: Embed, pictures: list[Pixels]) -> dict[str, float]:
    """Returns the share of pictures that are nearest to their own copy, by the kind of copy."""

    def cropped(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        y, x = round(height / 20), round(width / 20)
        return pixels[y : height - y, x : width - x]

    def rescaled(pixels: Pixels) -> Pixels:
        height, width = pixels.shape[:2]
        small = cv2.resize(pixels, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (width, height)), np.uint8)

    changes = {"mirrored": lambda p: np.ascontiguousarray(p[:, ::-1]), "cropped": cropped}
    changes["rescaled"] = rescaled
    originals = embed([data.square(p) for p in pictures])
    rates = {}
    for name, change in changes.items():
        cosines = embed([data.square(change(p)) for p in pictures]) @ originals.T
        rates[name] = float((cosines.argmax(1) == np.arange(len(pictures))).mean())
    return rates


def odd_pictures() -> list[Pixels]:
    """Returns single colors, single pixels, strips and noise."""
    rng = np.random.default_rng(data.SEED)
    colors = [np.full((40, 30, 3), c, np.uint8) for c in (0, 128, 255, (255, 0, 0), (0, 0, 255))]
    sizes = ((1, 1), (1, 600), (600, 1), (2, 3), (128, 128))
    return colors + [rng.integers(0, 256, (*size, 3), np.uint8) for size in sizes]


def rate(sessions: list[onnxruntime.InferenceSession], seconds: float = 4) -> float:
    """Returns pictures per second, with one caller for each session."""
    rng = np.random.default_rng(data.SEED)
    pixels = rng.integers(0, 256, (BATCH, data.SIDE, data.SIDE, 3), np.uint8)

    def call(session: onnxruntime.InferenceSession) -> int:
        count, end = 0, time.monotonic() + seconds
        while time.monotonic() < end:
            session.run(None, {"pixels": pixels})
            count += BATCH
        return count

    with ThreadPoolExecutor(len(sessions)) as pool:
        return sum(pool.map(call, sessions)) / seconds


def agreement(ours: Rows, exact: Rows) -> float:
    """Returns the share of the ten nearest that two models have in common."""
    both: list[NDArray[np.intp]] = [metrics.nearest(rows) for rows in (ours, exact)]
    return float(np.mean([len(set(a) & set(b)) for a, b in zip(*both, strict=True)]) / 10)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("--data", type=Path, default=data.DATA)
    parser.add_argument("--yardstick", type=Path, help="folder with catalog and photos")
    parser.add_argument("--exact", type=Path, help="the same model in float32")
    parser.add_argument(
        "--others", type=Path, help="folder of the views; evaluates teacher and histogram"
    )
    options = parser.parse_args()
    cv2.setNumThreads(1)

    start = time.perf_counter()
    session = open_model(options.model)
    loaded = time.perf_counter() - start
    embed = embedder(session)
    exact = embedder(open_model(options.exact)) if options.exact else None
    sets = read_sets(options.data, options.yardstick)
    others = {}
    if options.others:
        mean = np.load(options.others / "targets.npy").mean(axis=0, dtype=np.float32)
        others = {"teacher": teacher(options.data, mean), "HSV histogram": histogram}

    for name, (pictures, labels) in sets.items():
        squares = [data.square(p) for p in pictures]
        ours = embed(squares)
        precision = metrics.precision_at_10(ours, labels)
        best = metrics.best_precision_at_10(labels)
        line = f"{name:8} {len(pictures):5} precision@10 {precision:.3f} of at best {best:.3f}"
        if exact:
            plain = exact(squares)
            line += f", float {metrics.precision_at_10(plain, labels):.3f}"
            line += f", agreement {agreement(ours, plain):.3f}"
        for other, describe in others.items():
            line += f", {other} {metrics.precision_at_10(describe(pictures), labels):.3f}"
        print(line, flush=True)

    pictures = (sets["held"][0] + sets["unseen"][0])[:500]
    rates = self_recall(embed, pictures)
    print("itself   " + ", ".join(f"{name} {share:.3f}" for name, share in rates.items()))
    odd = embed([data.square(p) for p in odd_pictures()])
    lengths = np.linalg.norm(odd, axis=1)
    sound = bool(np.isfinite(odd).all() and np.allclose(lengths, 1, atol=1e-5))
    print(f"odd      finite and of length 1: {sound}")
    one, two = rate([session]), rate([session, open_model(options.model)])
    print(f"speed    one thread {one:.0f}/s, two callers {two:.0f}/s, load {loaded * 1e3:.0f} ms")
    print(f"size     {options.model.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
