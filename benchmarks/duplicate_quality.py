"""Precision and recall of the search for edited copies of photos.

An index of all photos of `catalog` and `photos` is queried for the duplicates of copies that
`_transforms` makes of a seeded sample of them. Results with another verdict than "similar" count.
recall: the share of copies whose original is among the results; precision: the share of results
that are the original. Photos that show the same picture as the original (`SAME`) count neither way.

For comparison, each at its usual threshold:
    phash, dhash, whash of `imagehash`, on the file as `PIL.Image.open` reads it: at most 10 of 64
        bits apart, the default `max_distance_threshold` of imagededup;
    cosine of the stand-in's embeddings: at least 0.9, imagededup's `min_similarity_threshold`.

Documents of nine kinds on one template, memes on one photo with other words, and garments with
other prints are indexed together; a group of them is wrong.

Bounds: no group of documents; precision 0.998 over all transforms, recall 0.98 over the mild ones
(including crops of up to 10 %), 0.95 over the hard ones (larger crops, rotations other than
multiples of 90°), and the verdict `same-pixels` for every copy with the same pixels. With `--model
built-in` the index has the built-in descriptor in place of the stand-in, and recall is printed
without a bound.

    python -m benchmarks.duplicate_quality [--originals N] [--model built-in]
"""

from __future__ import annotations

import argparse
import csv
import io
import multiprocessing
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter as clock
from typing import NamedTuple

import cv2
import imagehash
import numpy as np
import PIL.Image
from numpy.typing import NDArray

from benchmarks._documents import DOCUMENTS, meme, printed
from benchmarks._figures import bound, finish, need_data
from benchmarks._transforms import TRANSFORMS
from lookalike import Index
from lookalike.descriptors.clip import DEFAULT, Clip, load_clip
from lookalike.imaging.decode import decode

HASHES: dict[str, Callable[[PIL.Image.Image], imagehash.ImageHash]] = {
    "phash": imagehash.phash,
    "dhash": imagehash.dhash,
    "whash": imagehash.whash,
}
OURS, COSINE = "ours", "cosine"
METHODS = (OURS, *HASHES, COSINE)
BITS_APART, LEAST_COSINE = 10, 0.9
SAME_PIXELS = ("metadata", "png")  # transforms that change no pixel

# Photos that show one picture: cropped, recolored or captioned copies of one original, and frames
# of one animation. No two files are equal, nor two decoded pictures. All pairs with phashes within
# 12 bits of one another in any of the eight orientations, or with a cosine of at least 0.66, were
# aligned by SIFT and RANSAC. The 179 with 8 inliers and a correlation of at least 0.7 where they
# overlap were reviewed by eye, and so were the 192 with the nearest hashes and vectors. Bursts, and
# one object photographed twice, are not copies.
SAME = tuple(
    frozenset(ids.split())
    for ids in (
        "09b36693-00d5-403b-b706-c18d9d10cb52 195de33e-ed94-4729-b254-b351aafbfca8",
        "p00339 p00356",
        "p00349 p00352",
        "p00441 p00442",
        "p00623 p00624 p00625 p00626 p00627 p00629",
        "p00930 p00931",
        "p00932 p00934",
        "p00961 p00971",
        "p00975 p00976",
        "p00982 p00989",
        "p01008 p01010",
        "p01220 p01221",
        "p01242 p01243",
        "p01296 p01300",
        "p01306 p01319",
    )
)


class Baselines(NamedTuple):
    """The hashes and the embedding of one file, for the methods compared with ours."""

    hashes: NDArray[np.uint8]  # (3, 8): 64 bits each
    vector: NDArray[np.float32]  # (512,) of length 1


@dataclass(slots=True)
class Tally:
    queries: int = 0
    found: int = 0
    wrong: list[tuple[str, str]] = field(default_factory=list)  # (original, result)

    def count(self, original: str, results: Iterable[str]) -> None:
        results = set(results)
        same = {original}.union(*(group for group in SAME if original in group))
        self.queries += 1
        self.found += original in results
        self.wrong += [(original, id) for id in sorted(results - same)]

    @property
    def recall(self) -> float:
        return self.found / self.queries

    @property
    def precision(self) -> float:
        """1 without results, because then none was wrong."""
        returned = self.found + len(self.wrong)
        return self.found / returned if returned else 1.0

    @classmethod
    def of(cls, parts: Iterable[Tally]) -> Tally:
        total = cls()
        for part in parts:
            total.queries += part.queries
            total.found += part.found
            total.wrong += part.wrong
        return total


# --- child processes -------------------------------------------------------------------

_model: Clip


def start(model_dir: Path) -> None:
    global _model
    cv2.setNumThreads(1)
    _model = load_clip(DEFAULT, model_dir, model_dir, download=False)


def baselines(data: bytes) -> Baselines:
    hashes = []
    for make in HASHES.values():
        with PIL.Image.open(io.BytesIO(data)) as picture:
            hashes.append(np.packbits(make(picture).hash))
    (vector,) = _model.describe([decode(data)]).vectors
    return Baselines(np.stack(hashes), vector / np.linalg.norm(vector))


def baselines_of_file(path: Path) -> Baselines:
    return baselines(path.read_bytes())


def copied(job: tuple[int, Path, int]) -> tuple[bytes, Baselines]:
    """A copy made by the transform with this number, and its baselines."""
    transform, path, seed = job
    with PIL.Image.open(path) as picture:
        data = TRANSFORMS[transform](picture, seed)
    return data, baselines(data)


# --- the comparison ---------------------------------------------------------------------------


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument(
        "--originals", type=int, default=80, help="photos from which copies are made"
    )
    parser.add_argument("--model", choices=("stand-in", "built-in"), default="stand-in")
    options = parser.parse_args()
    data = need_data()
    bound("groups of different documents", groups_of_documents(data), most=0)
    tables = (data / "catalog/catalog.csv", data / "photos/labels.csv")
    paths = {id: path for table in tables for id, path in listed(table)}
    ids = list(paths)
    chosen = np.random.default_rng(0).permutation(len(ids))[: options.originals]
    jobs = [(t, paths[ids[n]], int(n)) for t in range(len(TRANSFORMS)) for n in chosen]
    with (
        multiprocessing.get_context("spawn").Pool(2, start, (data / "standin-clip",)) as pool,
        tempfile.TemporaryDirectory() as folder,
        open_index(Path(folder) / "index", options.model, data) as index,
    ):
        began = clock()
        others = list(pool.imap(baselines_of_file, paths.values(), chunksize=32))
        hashes, vectors = (np.stack(part) for part in zip(*others, strict=True))
        print(f"baselines of {len(ids)} photos: {clock() - began:.0f} s", flush=True)
        began = clock()
        for table in tables:
            index.add(table.parent, metadata=table)
        print(f"indexing them: {clock() - began:.0f} s", flush=True)
        tallies = [{method: Tally() for method in METHODS} for _ in TRANSFORMS]
        graded, seconds = 0, []
        copies: Iterator[tuple[bytes, Baselines]] = pool.imap(copied, jobs, chunksize=8)
        for (transform, _, number), (copy, its) in zip(jobs, copies, strict=True):
            started = clock()
            matches = [m for m in index.duplicates_of(image=copy) if m.verdict != "similar"]
            seconds.append(clock() - started)
            if TRANSFORMS[transform].name in SAME_PIXELS:
                graded += (ids[number], "same-pixels") in [(m.id, m.verdict) for m in matches]
            apart = np.bitwise_count(hashes ^ its.hashes).sum(axis=2)  # (photos, 3)
            near = {
                OURS: [match.id for match in matches],
                COSINE: [ids[i] for i in np.flatnonzero(vectors @ its.vector >= LEAST_COSINE)],
            } | {
                name: [ids[i] for i in np.flatnonzero(apart[:, column] <= BITS_APART)]
                for column, name in enumerate(HASHES)
            }
            for method, results in near.items():
                tallies[transform][method].count(ids[number], results)
    report(tallies, options.model)
    print(f"one photo against {len(ids)}: {np.median(seconds) * 1000:.1f} ms, the median")
    share = graded / (len(SAME_PIXELS) * len(chosen))
    bound("copies with the same pixels graded same-pixels", share, least=1.0)
    finish()


def groups_of_documents(data: Path) -> int:
    """Number of groups among documents of which no two are copies."""
    photos = sorted((data / "photos").rglob("*.jpg"))[50::400]
    garments = sorted((data / "catalog" / "images" / "t-shirt").glob("*.jpg"))[5::60]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "documents"
        folder.mkdir()
        for number in range(6):
            for kind, draw in DOCUMENTS.items():
                draw(number).save(folder / f"{kind} {number}.png")
            for place, path in enumerate(photos):
                meme(PIL.Image.open(path), number).save(folder / f"meme {place} {number}.jpg")
            for place, path in enumerate(garments):
                printed(PIL.Image.open(path), number).save(folder / f"print {place} {number}.jpg")
        with Index.open(Path(name) / "index", model="built-in") as index:
            index.add(folder)
            groups = list(index.duplicates())
    for group in groups:
        print("wrong:", ", ".join(Path(member.uri).stem for member in group.members))
    return len(groups)


def listed(table: Path) -> Iterator[tuple[str, Path]]:
    with table.open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            yield row["id"], table.parent / row["file"]


def open_index(where: Path, model: str, data: Path) -> Index:
    if model == "built-in":
        return Index.open(where, model="built-in")
    return Index.open(where, model_dir=data / "standin-clip")


def report(tallies: list[dict[str, Tally]], model: str) -> None:
    """Prints the table, the wrong results and the bounds."""
    print(f"precision and recall over copies of {tallies[0][OURS].queries} photos, model: {model}")
    print(f"{'':20}      " + "".join(f"{method:>14}" for method in METHODS))
    for transform, row in zip(TRANSFORMS, tallies, strict=True):
        print(line(transform.name, transform.group, row))
    groups = {
        group: {
            method: Tally.of(
                row[method]
                for transform, row in zip(TRANSFORMS, tallies, strict=True)
                if group in (transform.group, "all")
            )
            for method in METHODS
        }
        for group in ("mild", "hard", "all")
    }
    for group, row in groups.items():
        print(line(f"all {group}" if group != "all" else "all", "", row))
    for original, other in sorted(set(groups["all"][OURS].wrong)):
        print(f"wrong: a copy of {original} was called a copy of {other}")
    bound("precision over all transforms", groups["all"][OURS].precision, least=0.998)
    for group, least in (("mild", 0.98), ("hard", 0.95)):
        recall = groups[group][OURS].recall
        if model == "built-in":
            print(f"     recall over {group} transforms: {recall:.3f}")
        else:
            bound(f"recall over {group} transforms", recall, least=least)


def line(name: str, group: str, row: dict[str, Tally]) -> str:
    figures = (f"   {row[method].precision:.3f} {row[method].recall:.3f}" for method in METHODS)
    return f"{name:20} {group:4} " + "".join(figures)


if __name__ == "__main__":
    main()
