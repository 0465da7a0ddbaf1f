"""Quality of the built-in descriptors on real photos.

The baseline is a plain HSV histogram: 8 x 4 x 4 bins over the whole picture, normalized to a sum of
1 and compared by cosine. All searches are exact. Exits with 1 if a bound fails.

model    The built-in model: precision@10, the share of the ten nearest other photos with the
         query's category (catalog) or label (photos), averaged over all photos. Also the pictures
         per second of the network alone, from two threads, and the time of one query picture.
color    A garment in new surroundings. GrabCut (OpenCV's, not our own foreground) cuts the garment
         out of a catalog photo. It is scaled to 80-100 %, pasted at another position onto the
         stretched left margin of another photo or onto a plain color, made up to 15 % lighter or
         darker, and saved as JPEG at quality 60. The query must find its original among all
         catalog photos.
texture  A piece of the surface in another color. Two squares are cut from the middle of a photo,
         side by side and without a common pixel. The right one is rotated in hue by a random angle,
         changed in lightness by up to 15 %, and saved as JPEG at quality 75. It must find the left
         one among the left squares of all photos.
         For both: recall@10, the share of queries that find their target among the first ten, and
         the mean reciprocal rank (MRR).
phash    The bits of every photo equal those of the `imagehash` package.

    python benchmarks/descriptor_quality.py [--limit N] [--data DIR]
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import imagehash
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from lookalike.descriptors.color import Color
from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
from lookalike.descriptors.phash import Phash
from lookalike.descriptors.texture import Texture
from lookalike.protocols import Descriptor
from lookalike.types import Image, Pixels

DATA = Path(__file__).parents[2] / "shared" / "data"
QUERIES = 300
CORES = os.cpu_count() or 1

Rows = NDArray[np.float32]
Describe = Callable[[Sequence[Pixels]], Rows]


def hsv_histogram(pictures: Sequence[Pixels]) -> Rows:
    """(n, 128): the baseline."""
    rows = []
    for pixels in pictures:
        hsv = cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)
        counts = cv2.calcHist([hsv], [0, 1, 2], None, [8, 4, 4], [0, 180, 0, 256, 0, 256])
        rows.append(counts.ravel() / counts.sum())
    return np.asarray(rows, np.float32)


def describe_with(descriptor: Descriptor) -> Describe:
    return lambda pictures: descriptor.describe([image(p) for p in pictures]).vectors


def image(pixels: Pixels) -> Image:
    height, width = pixels.shape[:2]
    return Image(pixels, None, width, height, "JPEG", "", 0, None)


def similarities(queries: Rows, others: Rows) -> Rows:
    """(n, m) cosines."""
    a, b = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (queries, others))
    return np.asarray(a @ b.T, np.float32)


def precision_at_10(vectors: Rows, labels: Sequence[str]) -> float:
    cosines = similarities(vectors, vectors)
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argpartition(-cosines, 10, axis=1)[:, :10]
    label = np.asarray(labels)
    return float((label[nearest] == label[:, None]).mean())


def recall_and_mrr(queries: Rows, others: Rows, targets: Sequence[int]) -> tuple[float, float]:
    """Returns recall@10 and the mean reciprocal rank of the target of each query."""
    cosines = similarities(queries, others)
    of_targets = cosines[np.arange(len(targets)), targets]
    ranks = (cosines >= of_targets[:, None]).sum(axis=1)  # the worst rank in case of ties
    return float((ranks <= 10).mean()), float((1 / ranks).mean())


def jpeg(pixels: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return np.asarray(PIL.Image.open(buffer).convert("RGB"))


def cut_out(pixels: Pixels) -> NDArray[np.bool_] | None:
    """Returns the garment's mask by GrabCut, or None if it finds no clear one."""
    height, width = pixels.shape[:2]
    small = np.ascontiguousarray(cv2.resize(pixels, (width // 2, height // 2)))
    mask = np.zeros(small.shape[:2], np.uint8)
    inner = (width // 20, height // 20, width // 2 - width // 10, height // 2 - height // 10)
    cv2.setRNGSeed(0)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, mask, inner, *models, 3, cv2.GC_INIT_WITH_RECT)
    garment = (mask & 1).astype(np.uint8)
    if not 0.15 < garment.mean() < 0.65:
        return None
    return np.asarray(cv2.resize(garment, (width, height))) > 0


def in_new_surroundings(
    pixels: Pixels, mask: NDArray[np.bool_], other: Pixels, rng: np.random.Generator
) -> Pixels:
    """Returns the masked garment in new surroundings and another light."""
    height, width = pixels.shape[:2]
    if rng.random() < 0.5:
        ground = cv2.resize(other[:, : max(1, other.shape[1] // 10)], (width, height))
    else:
        ground = np.full_like(pixels, rng.integers(0, 256, 3))
    scale = rng.uniform(0.8, 1.0)
    size = int(width * scale), int(height * scale)
    left, top = (
        int(rng.integers(0, full - part + 1))
        for full, part in zip((width, height), size, strict=True)
    )
    window = ground[top : top + size[1], left : left + size[0]]
    garment = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    window[...] = np.where(cv2.resize(mask.astype(np.uint8), size)[..., None] > 0, garment, window)
    lit = np.clip(ground * rng.uniform(0.85, 1.15), 0, 255).astype(np.uint8)
    return jpeg(lit, 60)


def moved_garments(photos: Sequence[Pixels]) -> tuple[list[Pixels], list[int]]:
    """Returns queries, and the number of the photo that each was made from."""
    rng = np.random.default_rng(0)
    queries, targets = [], []
    for number in rng.permutation(len(photos)).tolist():
        mask = cut_out(photos[number])
        if mask is None:
            continue
        other = photos[int(rng.integers(len(photos)))]
        queries.append(in_new_surroundings(photos[number], mask, other, rng))
        targets.append(number)
        if len(queries) == QUERIES:
            break
    return queries, targets


def surfaces(photos: Sequence[Pixels]) -> tuple[list[Pixels], list[Pixels]]:
    """Returns squares left of the center, and those right of it in another color."""
    rng = np.random.default_rng(0)
    left, right = [], []
    for pixels in photos:
        y, x = pixels.shape[0] // 2, pixels.shape[1] // 2
        side = min(y, x) * 2 // 3
        left.append(pixels[y - side // 2 : y + side // 2, x - side : x])
        hsv = cv2.cvtColor(pixels[y - side // 2 : y + side // 2, x : x + side], cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0].astype(int) + rng.integers(30, 150)) % 180
        hsv[..., 2] = np.clip(hsv[..., 2] * rng.uniform(0.85, 1.15), 0, 255)
        right.append(jpeg(np.asarray(cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB), np.uint8), 75))
    return left, right


def load(table: Path, column: str, limit: int | None) -> tuple[list[Pixels], list[str]]:
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    if limit:
        step = max(1, len(rows) // limit)
        rows = rows[::step][:limit]
    pixels = [np.asarray(PIL.Image.open(table.parent / r["file"]).convert("RGB")) for r in rows]
    return pixels, [row[column] for row in rows]


def speed(model: Descriptor, pictures: Sequence[Pixels]) -> tuple[float, float]:
    """Returns the pictures per second with a thread for each core, the best of three runs, and the
    median time of a single picture in milliseconds."""
    small = [image(cv2.resize(p, (128, 128)).astype(np.uint8)) for p in pictures]
    rates = []
    with ThreadPoolExecutor(CORES) as pool:
        for _ in range(3):
            started = time.perf_counter()
            list(pool.map(lambda one: model.describe([one]), small))
            rates.append(len(small) / (time.perf_counter() - started))
    seconds = [timed(model, image(p)) for p in pictures[:50]]
    return max(rates), statistics.median(seconds) * 1000


def timed(model: Descriptor, one: Image) -> float:
    started = time.perf_counter()
    model.describe([one])
    return time.perf_counter() - started


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--limit", type=int, help="photos of each set, evenly picked; default all")
    parser.add_argument("--data", type=Path, default=DATA, help="folder with catalog and photos")
    options = parser.parse_args()
    failed = 0

    def report(name: str, figures: str, passed: bool) -> None:
        nonlocal failed
        failed += not passed
        print(f"{'pass' if passed else 'FAIL'}  {name:<20} {figures}", flush=True)

    catalog, categories = load(options.data / "catalog/catalog.csv", "category", options.limit)
    photos, labels = load(options.data / "photos/labels.csv", "label", options.limit)

    model = LookalikeSmall1()
    for name, pictures, classes, least in (
        ("model on catalog", catalog, categories, 0.50),
        ("model on photos", photos, labels, 0.42),
    ):
        ours, plain = (
            precision_at_10(d(pictures), classes) for d in (describe_with(model), hsv_histogram)
        )
        figures = f"precision@10 {ours:.3f}, HSV {plain:.3f}, bound {least}"
        report(name, figures, ours >= least)
    rate, query = speed(model, catalog[:400])
    report("model alone", f"{rate:,.0f} pictures/s on {CORES} cores, bound 1,000", rate >= 1000)
    report("model, one query", f"{query:.1f} ms, bound 10", query < 10)

    queries, originals = moved_garments(catalog)
    lefts, rights = surfaces(catalog)
    searches: tuple[tuple[str, Descriptor, list[Pixels], list[Pixels], Sequence[int]], ...] = (
        ("color: moved garment", Color(), queries, catalog, originals),
        ("texture: recolored", Texture(), rights, lefts, range(len(lefts))),
    )
    for name, descriptor, pictures, others, targets in searches:
        (recall, mrr), (plain_recall, plain_mrr) = (
            recall_and_mrr(describe(pictures), describe(others), targets)
            for describe in (describe_with(descriptor), hsv_histogram)
        )
        figures = (
            f"recall@10 {recall:.3f}, HSV {plain_recall:.3f}; MRR {mrr:.3f}, HSV {plain_mrr:.3f}; "
            f"{len(pictures)} queries among {len(others)}"
        )
        report(name, figures, recall > plain_recall and mrr > plain_mrr)

    both = catalog + photos
    hashes = [row["phash"] for row in Phash().describe([image(p) for p in both]).payload]
    equal = sum(
        h == str(imagehash.phash(PIL.Image.fromarray(p))) for h, p in zip(hashes, both, strict=True)
    )
    report("phash", f"{equal} of {len(both)} equal to imagehash", equal == len(both))

    for descriptor in (Color(), Texture(), model, Phash()):
        images = [image(p) for p in catalog[:300]]
        started = time.perf_counter()
        descriptor.describe(images)
        milliseconds = (time.perf_counter() - started) / len(images) * 1000
        print(f"      {descriptor.spec.name:<20} {milliseconds:.2f} ms an image", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
