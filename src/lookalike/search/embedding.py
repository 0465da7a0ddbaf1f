"""Vectors of images and text by themselves, and groups of similar images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import InputError, QueryError
from lookalike.manifest import Manifest
from lookalike.protocols import DescribesText, Descriptor, Descriptors, ImageLoader, KnowsWords
from lookalike.system.inputs import PlainImage
from lookalike.system.iteration import batched
from lookalike.types import Distance, Image, Point, VectorSpec

BATCH = 64


def vector_of(manifest: Manifest, aspect: str) -> str:
    """The name of the vector that serves an aspect.

    Raises:
        QueryError: there is no such aspect.
    """
    if aspect not in manifest.aspects:
        raise QueryError(f"There is no aspect {aspect!r}: use {', '.join(manifest.aspects)}.")
    return manifest.aspects[aspect]


def try_out(descriptor: Descriptor) -> None:
    """Describes a gray image and, if it can, a text: a model loads when it first does so.

    Raises:
        ModelError: it cannot.
    """
    side = descriptor.side
    gray = np.full((side, side, 3), 128, np.uint8)
    descriptor.describe([Image(gray, None, side, side, "PNG", "", 0, None)])
    if isinstance(descriptor, DescribesText) and not isinstance(descriptor, KnowsWords):
        descriptor.describe_text(["a shoe"])


def embed_images(
    images: Sequence[PlainImage],
    manifest: Manifest,
    models: Descriptors,
    loader: ImageLoader,
    aspect: str,
) -> NDArray[np.float32]:
    """(n, size): the vectors of images in one aspect, as the index would store them."""
    spec = manifest.vectors[vector_of(manifest, aspect)]
    descriptor = models.descriptor(spec.name)
    rows = [np.zeros((0, spec.size), np.float32)]
    with ThreadPoolExecutor(loader.size) as pool:
        for batch in batched(images, BATCH):
            decoded = list(pool.map(lambda image: loader.load(image, descriptor.side), batch))
            rows.append(np.asarray(descriptor.describe(decoded).vectors, np.float32))
    return np.concatenate(rows)


def text_describers(manifest: Manifest, models: Descriptors) -> dict[str, DescribesText]:
    """The descriptors that a text is searched by, by aspect: at least one. Those that know only
    certain words serve where none takes any text.

    Raises:
        QueryError: there is none.
    """
    found = _text_descriptors(manifest, models)
    any_text = {aspect: one for aspect, one in found.items() if not isinstance(one, KnowsWords)}
    return any_text or found


def _text_descriptors(manifest: Manifest, models: Descriptors) -> dict[str, DescribesText]:
    """All descriptors of the index that support text, by aspect: at least one."""
    found: dict[str, DescribesText] = {}
    for aspect, name in manifest.aspects.items():
        if models.is_available(name):
            descriptor = models.descriptor(name)
            if isinstance(descriptor, DescribesText):
                found[aspect] = descriptor
    semantic = models.descriptor(manifest.semantic.name)
    problem = getattr(semantic, "text_problem", "")
    if problem and not found:
        raise QueryError(
            f"This index cannot be searched by text, as {problem}. Put it back, or name the folder "
            "with `vision` and `text` with --model-dir."
        )
    if not found:
        raise QueryError(
            f"This index was made with {manifest.semantic.model}, which does not support text: "
            "search by image or color, or replace it with `lookalike migrate start --model clip`."
        )
    return found


def embed_texts(
    texts: Sequence[str], manifest: Manifest, models: Descriptors, aspect: str
) -> NDArray[np.float32]:
    """(n, size): the vectors of texts, comparable with those of images in an aspect.

    Raises:
        QueryError: there is no such aspect, or it does not support text.
    """
    spec = manifest.vectors[vector_of(manifest, aspect)]
    describers = _text_descriptors(manifest, models)
    if aspect not in describers:
        raise QueryError(f"{aspect} does not support text: use {', '.join(describers)}.")
    vectors = describers[aspect].describe_text(list(texts))
    return np.asarray(vectors, np.float32).reshape(-1, spec.size)


def cluster(
    points: Iterator[Point], spec: VectorSpec, k: int | None, min_size: int
) -> Mapping[str, int]:
    """The group of each image by id: by k-means for `k` groups, else by HDBSCAN.

    Both compare by Euclidean distance, which ranks directions as cosine does; HDBSCAN also by
    Manhattan distance.

    Raises:
        InputError: scikit-learn is not installed, or there are fewer images than groups.
    """
    stored = [(point.id, point.vectors[spec.name]) for point in points]
    if k is not None and not 1 <= k <= len(stored):
        raise InputError(f"k must be from 1 to the number of images, {len(stored):,} (got {k}).")
    if len(stored) < max(2, min_size) and k is None:
        return {id: -1 for id, _ in stored}
    model = _model(k, min_size, spec.distance)
    vectors = np.array([vector for _, vector in stored], np.float32)
    if spec.distance is Distance.COSINE:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = model.fit_predict(vectors)
    return {id: int(label) for (id, _), label in zip(stored, labels, strict=True)}


def _model(k: int | None, min_size: int, distance: Distance) -> Any:
    try:
        from sklearn import cluster as models  # type: ignore[import-untyped]
    except ModuleNotFoundError:
        raise InputError("Clusters need a library: pip install 'lookalike[cluster]'.") from None
    if k is None:
        metric = "manhattan" if distance is Distance.MANHATTAN else "euclidean"
        return models.HDBSCAN(min_cluster_size=min_size, metric=metric, copy=True)
    return models.KMeans(k, random_state=0, n_init=3)
