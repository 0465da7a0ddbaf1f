"""Precisions of a model compared on a user's own pictures."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors import loader
from lookalike.descriptors.catalog import PRECISIONS
from lookalike.descriptors.loader import ModelChoice
from lookalike.errors import ImageRejected, InputError, ModelError
from lookalike.protocols import Descriptor
from lookalike.sources import open_sources
from lookalike.system.iteration import batched
from lookalike.types import Image
from lookalike.workers.pool import DecoderPool

NEIGHBORS = 10
_FEWEST = 2 * NEIGHBORS
_BATCH = 32


@dataclass(frozen=True, slots=True)
class PrecisionFigures:
    """A model in one precision, measured.

    Attributes:
        precision: `fp32`, `fp16` or `int8`.
        images: number of pictures.
        agreement: share of the ten nearest pictures in fp32 that are among the ten nearest here.
        images_per_second: speed of the model on one core, or on the GPU.
    """

    precision: str
    images: int
    agreement: float
    images_per_second: float


def compare_precisions(
    sources: Sequence[str | os.PathLike[str]], choice: ModelChoice, *, most: int, threads: int
) -> list[PrecisionFigures]:
    """Describes pictures in every precision that a model has, and compares their neighbors.

    Args:
        sources: folders, files or globs.
        choice: the model, in any precision.
        most: pictures that are taken, evenly spread over the sources.
        threads: pictures decoded at once.

    Raises:
        InputError: there are too few pictures.
        ModelError: the model cannot be loaded, or has one precision alone.
    """
    models = _models(choice)
    images = _pictures(sources, models[PRECISIONS[0]].side, most, threads)
    figures: list[PrecisionFigures] = []
    exact: NDArray[np.intp] | None = None
    for precision, model in models.items():
        started = time.perf_counter()
        rows = [np.asarray(model.describe(batch).vectors) for batch in batched(images, _BATCH)]
        speed = len(images) / (time.perf_counter() - started)
        nearest = _nearest(np.concatenate(rows).astype(np.float32))
        exact = nearest if exact is None else exact
        figures.append(PrecisionFigures(precision, len(images), _agreement(exact, nearest), speed))
    return figures


def _models(choice: ModelChoice) -> dict[str, Descriptor]:
    """The model in each precision that it has, fp32 first.

    Raises:
        ModelError: it has no fp32, or nothing else.
    """
    models = {PRECISIONS[0]: loader.load_semantic(loader.in_precision(choice, PRECISIONS[0]))}
    problem = ""
    for precision in PRECISIONS[1:]:
        try:
            models[precision] = loader.load_semantic(loader.in_precision(choice, precision))
        except ModelError as error:
            problem = str(error)
    if len(models) == 1:
        raise ModelError(problem)
    return models


def _pictures(
    sources: Sequence[str | os.PathLike[str]], side: int, most: int, threads: int
) -> list[Image]:
    """Decoded pictures, evenly spread over the sources.

    Raises:
        InputError: there are too few.
    """
    refs = [(source, ref) for source in open_sources(sources) for ref in source.refs()]
    step = max(1, len(refs) // most)
    pool = DecoderPool(threads)
    images: list[Image] = []
    try:
        for batch in batched(refs[::step][:most], _BATCH):
            files = []
            for source, ref in batch:
                try:
                    files.append(source.read(ref))
                except ImageRejected:
                    continue
            described = pool.describe_many(files, side=side)
            images += [one.image for one in described if not isinstance(one, ImageRejected)]
    finally:
        pool.close()
    if len(images) < _FEWEST:
        names = ", ".join(str(Path(source)) for source in sources)
        raise InputError(
            f"There are {len(images)} pictures in {names}: a comparison needs {_FEWEST} or more."
        )
    return images


def _nearest(vectors: NDArray[np.float32]) -> NDArray[np.intp]:
    """(n, 10): the nearest other pictures of each, in no order."""
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -np.inf)
    return np.argpartition(-similarities, NEIGHBORS, axis=1)[:, :NEIGHBORS]


def _agreement(exact: NDArray[np.intp], nearest: NDArray[np.intp]) -> float:
    common = [np.intersect1d(a, b).size for a, b in zip(exact, nearest, strict=True)]
    return float(np.mean(common)) / NEIGHBORS
