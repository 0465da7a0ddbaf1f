"""Edited copies of photos that hashes propose, by the radius that a check of an index takes.

The larger an index, the smaller the radius within which a check pairs hashes (`JOIN_RADII`). Copies
that `_transforms` makes of a seeded sample of the photos are compared with their originals: the
share within each radius in some orientation, and with it the share that the built-in model's vector
proposes, as the original is among its nearest of all photos at hand. At millions of images others
are nearer, and the vector proposes fewer.

    python -m benchmarks.duplicate_radius [--originals N]
"""

from __future__ import annotations

import argparse
import multiprocessing
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from benchmarks._figures import bound, finish, need_data
from benchmarks._transforms import TRANSFORMS
from lookalike.comparison.hamming import all_orientations
from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
from lookalike.descriptors.phash import Phash
from lookalike.duplicates.bulk.proposals import JOIN_RADII, LAST_RADIUS
from lookalike.duplicates.check import SEMANTIC_NEIGHBORS
from lookalike.imaging.decode import decode

RADII = (*(radius for _, radius in JOIN_RADII), LAST_RADIUS)
GROUPS = ("mild", "hard")
HASH, MODEL = Phash(), LookalikeSmall1()


class Described(NamedTuple):
    """The hash and the vector of one picture."""

    hash: int
    vector: NDArray[np.float32]  # of length 1


def described(data: bytes) -> Described:
    image = decode(data)
    (bits,) = HASH.describe([image]).vectors
    (vector,) = MODEL.describe([image]).vectors
    packed = np.packbits(np.asarray(bits, np.uint8)).view(">u8")
    return Described(int(packed[0]), vector / np.linalg.norm(vector))


def copied(job: tuple[int, Path, int]) -> Described:
    """A copy made by the transform with this number."""
    transform, path, seed = job
    with PIL.Image.open(path) as picture:
        return described(TRANSFORMS[transform](picture, seed))


def columns(rows: Iterable[Described]) -> tuple[NDArray[np.uint64], NDArray[np.float32]]:
    hashes, vectors = zip(*rows, strict=True)
    return np.array(hashes, np.uint64), np.stack(vectors)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--originals", type=int, default=60, help="photos to make copies of")
    options = parser.parse_args()
    data = need_data()
    paths = sorted([*data.glob("catalog/**/*.jpg"), *data.glob("photos/**/*.jpg")])
    photos = [path.read_bytes() for path in paths]
    chosen = np.random.default_rng(0).permutation(len(photos))[: options.originals]
    with zipfile.ZipFile(data / "train" / "images.zip") as archive:
        photos += [archive.read(name) for name in archive.namelist() if name.endswith(".jpg")]
    jobs = [(t, paths[n], int(n)) for t in range(len(TRANSFORMS)) for n in chosen]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        hashes, vectors = columns(pool.imap(described, photos, chunksize=64))
        copies, copied_vectors = columns(pool.imap(copied, jobs, chunksize=16))
    of = np.tile(chosen, len(TRANSFORMS))
    turned = all_orientations(copies)
    apart = np.bitwise_count(turned ^ hashes[of][:, None]).min(axis=1)
    similarities = copied_vectors @ vectors.T
    nearer = similarities > similarities[np.arange(len(of)), of][:, None]
    by_vector = nearer.sum(axis=1) < SEMANTIC_NEIGHBORS
    report(np.repeat(np.arange(len(TRANSFORMS)), len(chosen)), apart, by_vector, len(photos))


def report(
    transforms: NDArray[np.int64],
    apart: NDArray[np.uint8],
    by_vector: NDArray[np.bool_],
    photos: int,
) -> None:
    """Prints the shares of copies that are proposed, by the smallest radius or the vector in the
    last column, and checks their bounds."""
    print(f"{len(apart):,} copies, vectors among {photos:,} photos")
    print(
        f"{'':20}      "
        + "".join(f"{f'{radius} bits':>9}" for radius in RADII)
        + "   vector   either"
    )
    for number, transform in enumerate(TRANSFORMS):
        line(transform.name, transform.group, transforms == number, apart, by_vector)
    groups = np.array([transform.group for transform in TRANSFORMS])[transforms]
    for group in GROUPS:
        own = groups == group
        line(f"all {group}", "", own, apart, by_vector)
        shares = [(by_vector | (apart <= radius))[own].mean() for radius in RADII]
        print(f"{'  or by vector':26}" + "".join(f"{share:9.3f}" for share in shares))
    mild = groups == "mild"
    for radius, least in zip(RADII, (0.86, 0.83, 0.77, 0.68), strict=True):
        share = float((apart <= radius)[mild].mean())
        bound(f"share of mildly edited copies within {radius} bits", share, least=least)
    either = float((by_vector | (apart <= LAST_RADIUS))[mild].mean())
    bound(f"the same with the vector, at {LAST_RADIUS} bits", either, least=0.96)
    finish()


def line(
    name: str,
    group: str,
    own: NDArray[np.bool_],
    apart: NDArray[np.uint8],
    by_vector: NDArray[np.bool_],
) -> None:
    near = [apart <= radius for radius in RADII]
    shares = [one[own].mean() for one in (*near, by_vector, near[-1] | by_vector)]
    figures = "".join(f"{share:9.3f}" for share in shares)
    print(f"{name:20} {group:4} " + figures)


if __name__ == "__main__":
    main()
