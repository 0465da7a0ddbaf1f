"""Time of a query for the duplicates of one picture in an index of 300,000 images.

The index holds the photos of `catalog` and `photos`, except 30 that are held out, and synthetic
points up to 300,000. A synthetic point is mixed from a photo, one of its nearest neighbors and a
random third photo. Among as many of them as there are photos, distances are like those of photos:
the nearest at a cosine of 0.66 in the median, the 16th at 0.48. Half of the hash is the photo's and
half is random, so that 22 of a million pairs are at most 10 bits apart, as among the photos.
Thumbnail and payload are the photo's, so false proposals look like those of a real index. The
photos behind the queries lend nothing, so that no synthetic point is a copy of a query.

Queries are 60 JPEG files of about 350 pixels, as bytes: 30 edited copies of photos in the index,
and 30 edited copies of held-out photos. The same queries run against the real photos alone, where
the same copies must be found. The first run of a query makes the sketches of the proposed images;
the bound is for later runs, when the sketches are cached, as `lookalike duplicates` leaves them.

    python -m benchmarks.duplicate_lookup [FOLDER] [--points N] [--model MODEL] [--build]

Both the stand-in for CLIP and the built-in model are measured. FOLDER keeps the indexes, each of
which takes a quarter of an hour to build and about 8 GB, for the next run; with `--build` they are
built and nothing is measured.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from benchmarks._figures import bound, finish, need_data
from benchmarks._transforms import TRANSFORMS
from benchmarks.duplicate_quality import SAME, listed
from benchmarks.hash_pairs import draw, photo_latent
from lookalike import Index, descriptors
from lookalike.cache.store import Cache, cache_file
from lookalike.duplicates import check
from lookalike.duplicates.verdicts import Duplicates
from lookalike.types import Point

POINTS = 300_000
COPIES = STRANGERS = 30
ROUNDS = 3
TOGETHER = 500
NEIGHBORS = 10
"""Nearest neighbors of a photo, one of which is mixed into a synthetic point."""
CHANGED = 0.48
"""Share of a hash's bits that are random and not the photo's."""

# Transforms to other formats or sizes.
EXCLUDED = {"metadata", "png", "webp 75", "screenshot", "resize 0.25", "resize 0.5", "resize 2"}

MODELS = "stand-in", "built-in"

Vectors = NDArray[np.float32]


class Lookup(NamedTuple):
    """A file, and the id of the indexed photo of which it is a copy."""

    jpeg: bytes
    original: str | None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, help="folder that keeps the indexes")
    parser.add_argument("--points", type=int, default=POINTS)
    parser.add_argument("--model", choices=MODELS, action="append", help="measure only this one")
    parser.add_argument("--build", action="store_true", help="build the indexes, measure nothing")
    options = parser.parse_args()
    data = need_data()
    with tempfile.TemporaryDirectory() as temporary:
        for model in options.model or MODELS:
            compare_models(options.folder or Path(temporary), model, data, options)
    finish()


def compare_models(folder: Path, model: str, data: Path, options: argparse.Namespace) -> None:
    """Builds missing indexes and measures queries."""
    chosen = sampled(data)
    held_out = list(chosen)[COPIES:]
    real, large = folder / f"real-{model}", folder / f"{options.points}-{model}"
    if not real.exists():
        build(real, lambda place: add_photos(place, model, data, held_out))
    if not large.exists():
        build(large, lambda place: add_points(real, place, options.points, list(chosen)))
    if options.build:
        return
    lookups = [
        Lookup(edited(path, n), id if n < COPIES else None)
        for n, (id, path) in enumerate(chosen.items())
    ]
    few = measure(real, lookups)
    many = measure(large, lookups)
    share = many / max(few, 1)
    bound(f"{model}: copies found, of those found without synthetic points", share, least=1)


def tables_of(data: Path) -> tuple[Path, ...]:
    return data / "catalog/catalog.csv", data / "photos/labels.csv"


def sampled(data: Path) -> dict[str, Path]:
    """The photos behind the queries by id, those that stay in the index first."""
    paths = {id: path for table in tables_of(data) for id, path in listed(table)}
    several = frozenset[str]().union(*SAME)
    order = np.random.default_rng(1).permutation(len(paths))
    chosen = [id for id in np.array(list(paths))[order].tolist() if id not in several]
    return {id: paths[id] for id in chosen[: COPIES + STRANGERS]}


def edited(path: Path, number: int) -> bytes:
    fitting = [transform for transform in TRANSFORMS if transform.name not in EXCLUDED]
    with PIL.Image.open(path) as picture:
        return fitting[number % len(fitting)](picture, number)


# --- the indexes ------------------------------------------------------------------------------


def build(place: Path, fill: Callable[[Path], None]) -> None:
    """Fills an index under a temporary name, so that an existing one is complete."""
    draft = place.with_name(f"{place.name}.new")
    shutil.rmtree(draft, ignore_errors=True)
    started = time.monotonic()
    fill(draft)
    draft.rename(place)
    print(f"building {place.name}: {time.monotonic() - started:.0f} s", flush=True)


def add_photos(place: Path, model: str, data: Path, held_out: list[str]) -> None:
    is_own = model == "built-in"
    model_dir = None if is_own else data / "standin-clip"
    with Index.open(place, model=model if is_own else None, model_dir=model_dir) as index:
        for table in tables_of(data):
            index.add(table.parent, metadata=table)
        index.delete(held_out)
        index.optimize()


def add_points(real: Path, place: Path, count: int, queried: Sequence[str]) -> None:
    """Copies an index and adds synthetic points up to `count`."""
    shutil.copytree(real, place)
    latent = place / "latent.npz"
    photo_latent(latent)
    with Index.open(place, create=False) as index, Cache(cache_file(str(place))) as cache:
        photos = [point for point in index.scroll(vectors=True) if point.id not in queried]
        wanted = count - len(index)
        hashes = draw(str(latent), wanted, seed=2)
        latent.unlink()
        thumbnails = cache.get_many([photo.payload["image"]["sha256"] for photo in photos])
        made = synthetic(photos, index._manifest.semantic.name, hashes)
        for first in range(0, wanted, TOGETHER):
            points, near = zip(
                *(next(made) for _ in range(min(TOGETHER, wanted - first))), strict=True
            )
            index._engine.upsert(points)
            cache.put_many(
                {
                    point.payload["image"]["sha256"]: thumbnails[photo.payload["image"]["sha256"]]
                    for point, photo in zip(points, near, strict=True)
                }
            )
        index.optimize()
        index.calibrate()


def synthetic(
    photos: Sequence[Point], semantic: str, hashes: NDArray[np.uint64]
) -> Iterator[tuple[Point, Point]]:
    """(a point with this hash, the photo near it) for each hash."""
    rng = np.random.default_rng(3)
    vectors: dict[str, Vectors] = {
        name: np.array([photo.vectors[name] for photo in photos], np.float32)
        for name in photos[0].vectors
    }
    like = vectors[semantic] @ vectors[semantic].T
    nearest = np.argpartition(-like, NEIGHBORS + 1, axis=1)[:, : NEIGHBORS + 1]
    for number, hash in enumerate(hashes.tolist()):
        one = int(rng.integers(len(photos)))
        beside, far = int(rng.choice(nearest[one])), int(rng.integers(len(photos)))
        mixed = {
            name: unit(rows[one] + rng.uniform(0, 0.8) * rows[beside] + rows[far])
            for name, rows in vectors.items()
        }
        drawn = np.unpackbits(np.array([hash], ">u8").view(np.uint8))
        own_bits = vectors[check.PHASH][one].astype(np.uint8)
        bits = np.where(rng.random(drawn.size) < CHANGED, drawn, own_bits)
        mixed[check.PHASH] = bits
        id = f"synthetic-{number}"
        own = {
            **photos[one].payload["image"],
            "id": id,
            "uri": f"/nowhere/{id}.jpg",
            "sha256": hashlib.sha256(id.encode()).hexdigest(),
            "phash": np.packbits(bits).tobytes().hex(),
        }
        yield Point(id, mixed, {**photos[one].payload, "image": own}), photos[one]


def unit(row: Vectors) -> Vectors:
    return np.asarray(row / np.linalg.norm(row), np.float32)


# --- the time ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Stages:
    """Seconds and calls in the stages of a query, by name, summed over threads."""

    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    calls: defaultdict[str, int] = field(default_factory=lambda: defaultdict(int))
    _watched: list[tuple[Any, str, Any]] = field(default_factory=list)

    def watch(self, owner: Any, function: str, stage: str) -> None:
        """Counts the calls of this function of an object or a module from now on."""
        action = getattr(owner, function)

        @wraps(action)
        def watched(*args: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return action(*args, **options)
            finally:
                self.seconds[stage] += time.perf_counter() - started
                self.calls[stage] += 1

        self._watched.append((owner, function, action))
        setattr(owner, function, watched)

    def stop(self) -> None:
        for owner, function, action in self._watched:
            setattr(owner, function, action)


def measure(place: Path, lookups: Sequence[Lookup]) -> int:
    """Prints times and stages, and returns the number of copies found."""
    with Index.open(place, create=False) as index:
        answers, first = run_all(index, lookups)  # also brings files into memory
        seconds = [took for _ in range(ROUNDS) for took in run_all(index, lookups)[1]]
        ids = [{match.id for match in matches} for matches in answers]
        pairs = list(zip((lookup.original for lookup in lookups), ids, strict=True))
        found = sum(original in answer for original, answer in pairs)
        others = sum(len(answer - {original}) for original, answer in pairs)
        print(f"{len(index):,} images: {found} of {COPIES} copies found, {others} false ones")
        stages(index, lookups)
        print(f"  first run of a query: median {np.median(first) * 1e3:.1f} ms")
        median, late = (float(np.percentile(seconds, part)) * 1e3 for part in (50, 90))
        print(f"  median {median:.1f} ms, 90th percentile {late:.1f} ms")
        if len(index) >= POINTS:
            bound(
                f"one picture against {len(index):,} ({index._manifest.semantic.model}), median ms",
                median,
                most=30,
            )
    return found


def run_all(index: Index, lookups: Sequence[Lookup]) -> tuple[list[Duplicates], list[float]]:
    """The duplicates for each query, and its seconds."""
    answers, seconds = [], []
    for lookup in lookups:
        started = time.perf_counter()
        answers.append(index.duplicates_of(image=lookup.jpeg))
        seconds.append(time.perf_counter() - started)
    return answers, seconds


def stages(index: Index, lookups: Sequence[Lookup]) -> None:
    """Prints the time by stage, measured in separate runs because measuring takes time, too."""
    watched = Stages()
    semantic = index._models.descriptor(index._manifest.semantic.name)
    watched.watch(index._decoder, "describe_many", "decoding and describing, in the child")
    watched.watch(semantic, "describe", "semantic model")
    watched.watch(descriptors, "names", "listing descriptors")
    watched.watch(index._engine, "query", "engine")
    watched.watch(index._cache, "get_many", "reading thumbnails")
    watched.watch(index._cache, "get_sketches", "reading sketches")
    watched.watch(index._decoder, "sketch", "sketching, in a child")
    watched.watch(index._decoder, "compare", "comparing, in the children")
    started = time.perf_counter()
    for lookup in lookups:
        index.duplicates_of(image=lookup.jpeg)
    total = time.perf_counter() - started
    watched.stop()
    work = sum(watched.seconds.values())
    print(f"  {total / len(lookups) * 1e3:.1f} ms each on average; time of all threads by stage:")
    for stage, seconds in watched.seconds.items():
        each, calls = seconds / len(lookups) * 1e3, watched.calls[stage] / len(lookups)
        print(f"  {stage}: {each:.2f} ms ({seconds / work:.0%}), {calls:.1f} calls")


if __name__ == "__main__":
    main()
