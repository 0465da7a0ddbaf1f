"""Synthetic points like those of an index of many images, drawn from a fixed seed.

They have the properties of real vectors that matter to a search, as measured on real photos:
semantic vectors lie in clusters of very different size and vary in about sixty directions; colors
are histograms of one to three colors, vary in eight directions, and are shared by thousands of
images; textures vary in as few. The three are independent, which is the hardest case for a blend:
its best points are not the best of any aspect.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.cache.store import Cache, cache_file
from lookalike.descriptors.loader import ModelChoice, Models
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.index import Index
from lookalike.manifest import Manifest
from lookalike.opening import Parts
from lookalike.protocols import Engine
from lookalike.types import DecodeLimits, Distance, FieldType, Point, VectorSpec
from lookalike.workers.pool import DecoderPool

Vectors = NDArray[np.float32]

SIZES = {"semantic": 512, "color": 125, "texture": 198}
SPECS = [
    VectorSpec(f"{aspect}-made", aspect, size, Distance.COSINE, "float32", "made", "1")
    for aspect, size in SIZES.items()
]
_ROWS = 20_000  # drawn at a time


@dataclass(frozen=True, slots=True)
class Points:
    """Vectors by aspect, and a field to filter by.

    Attributes:
        vectors: (n, size) by aspect, rows of length 1.
        rank: (n,) a shuffled 0 <= rank < 1, so that `rank < 0.05` passes 5 % of all points.
    """

    vectors: dict[str, Vectors]
    rank: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.rank)


def draw(count: int, seed: int = 5) -> Points:
    """`count` points, the same for the same seed."""
    rng = np.random.default_rng(seed)
    vectors = {
        "semantic": _clustered(count, SIZES["semantic"], 96, rng),
        "color": _palettes(count, rng),
        "texture": _clustered(count, SIZES["texture"], 24, rng),
    }
    return Points(vectors, rng.permutation(count) / count)


def open_index(engine: EdgeEngine, points: Points, *, optimize: bool = True) -> Index:
    """An index of these points, made if it is not there yet, with or without its search graph."""
    manifest = Manifest.of(SPECS)
    if engine.read_manifest() is None:
        engine.create(SPECS)
        engine.create_field_index("rank", FieldType.FLOAT)
        for first in range(0, len(points), 500):
            engine.upsert([_point(points, i) for i in range(first, first + 500)])
        if optimize:
            engine.optimize()
        engine.write_manifest(manifest.with_fields({"rank": FieldType.FLOAT}).to_json())
    index = index_of(engine, engine.folder.path)
    if index._manifest.calibration is None:
        index.calibrate()
    return index


def index_of(engine: Engine, folder: Path) -> Index:
    """The index that an engine has, with a cache in a folder."""
    stored = Manifest.from_json(engine.read_manifest() or {}, str(folder))
    return Index(
        Parts(
            url=str(folder),
            engine=engine,
            manifest=stored,
            models=Models(stored, ModelChoice("made", None, folder, None)),
            decoder=DecoderPool(1, limits=DecodeLimits()),
            cache=Cache(cache_file(str(folder))),
        )
    )


def _point(points: Points, i: int) -> Point:
    payload = {"rank": float(points.rank[i]), "image": {"id": str(i), "uri": str(i)}}
    return Point(
        str(i), {f"{aspect}-made": one[i] for aspect, one in points.vectors.items()}, payload
    )


def _clustered(count: int, size: int, rank: int, rng: np.random.Generator) -> Vectors:
    spectrum = 1 / np.sqrt(1 + np.arange(rank) / 12)
    basis = np.linalg.qr(rng.standard_normal((size, rank)))[0].T
    centers = rng.standard_normal((3000, rank)) * spectrum
    cluster = rng.choice(3000, count, p=rng.dirichlet(np.full(3000, 0.5)))
    common = rng.standard_normal(size)
    common *= 2 / np.linalg.norm(common)
    made = np.empty((count, size), np.float32)
    for first in range(0, count, _ROWS):
        own = cluster[first : first + _ROWS]
        latent = centers[own] + 0.75 * rng.standard_normal((len(own), rank)) * spectrum
        noise = 0.04 * rng.standard_normal((len(own), size))
        made[first : first + _ROWS] = _unit(latent @ basis + common + noise)
    return made


def _palettes(count: int, rng: np.random.Generator) -> Vectors:
    """Square-rooted histograms over 5 x 5 x 5 colors, as the `color` descriptor makes them."""
    knots = ((16, 72, 128, 184, 240), (64, 108, 128, 148, 192), (64, 108, 128, 148, 192))
    spread = (45, 16, 16)
    anchors = np.column_stack(
        [rng.uniform(20, 235, 60), rng.normal(128, 18, 60), rng.normal(128, 18, 60)]
    )
    made = np.empty((count, SIZES["color"]), np.float32)
    for first in range(0, count, _ROWS):
        n = min(_ROWS, count - first)
        histogram = np.zeros((n, SIZES["color"]))
        shares = rng.dirichlet([1.2, 0.5, 0.25], n)
        for third in range(3):
            color = anchors[rng.integers(60, size=n)] + rng.normal(0, (14, 5, 5), (n, 3))
            width = rng.uniform(0.6, 1.6, (n, 1))
            axes = [
                np.exp(-((np.array(along) - color[:, [axis]]) ** 2) / (2 * (s * width) ** 2))
                for axis, (along, s) in enumerate(zip(knots, spread, strict=True))
            ]
            blob = np.einsum("na,nb,nc->nabc", *axes).reshape(n, -1)
            histogram += shares[:, [third]] * blob / (blob.sum(axis=1, keepdims=True) + 1e-12)
        made[first : first + _ROWS] = _unit(np.sqrt(histogram))
    return made


def _unit(rows: NDArray[np.float64]) -> Vectors:
    unit: Vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return unit
