"""CLIP, and any other image model that FastEmbed knows, through ONNX Runtime."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from fastembed import ImageEmbedding, TextEmbedding
from fastembed.image.transform.operators import (
    Compose,
    Normalize,
    PILtoNDarray,
    Rescale,
    Transform,
)
from loguru import logger
from PIL import Image as PILImage

from lookalike.errors import ModelError
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

DEFAULT = "Qdrant/clip-ViT-B-32-vision"

logger.disable("fastembed")  # a library does not print; what it says comes back in our errors


class Clip:
    """An image model of FastEmbed's, without words. It gets pixels and decodes nothing.

    Every call runs on the one thread that makes it, so that as many callers as there are cores
    keep all of them busy: that is faster than one call on all cores.
    """

    def __init__(self, model: str, source: dict[str, Any]) -> None:
        self._model = ImageEmbedding(model, threads=1, **source)
        _fuse(self._model.model.processor)  # type: ignore[attr-defined]
        folder = Path(self._model.model._model_dir)  # type: ignore[attr-defined]
        self.side = _side(self._model)
        self.spec = VectorSpec(
            name=_slug(model),
            aspect="semantic",
            size=self._embed([PILImage.new("RGB", (32, 32), "grey")]).shape[1],
            distance=Distance.COSINE,
            datatype="float32",
            model=model,
            revision=_fingerprint(folder / self._model.model.model_description.model_file),  # type: ignore[attr-defined]
        )

    def describe(self, images: Sequence[Image]) -> Description:
        return Description(self._embed([PILImage.fromarray(image.pixels) for image in images]))

    def _embed(self, images: list[PILImage.Image]) -> np.ndarray[Any, np.dtype[np.float32]]:
        rows = list(self._model.embed(images, batch_size=max(1, len(images))))
        return np.asarray(rows, np.float32)


class ClipWithText(Clip):
    """An image model with a text tower; the tower is loaded with the first text."""

    def __init__(
        self, model: str, source: dict[str, Any], text: str, text_source: dict[str, Any]
    ) -> None:
        super().__init__(model, source)
        self._text_model: TextEmbedding | None = None
        self._text = text
        self._text_source = text_source
        self._lock = Lock()

    def describe_text(self, texts: Sequence[str]) -> list[Vector]:
        with self._lock:
            if self._text_model is None:
                try:
                    self._text_model = TextEmbedding(self._text, threads=1, **self._text_source)
                except Exception as error:
                    raise ModelError(_cannot_load(self._text, self._text_source, error)) from error
        rows = np.asarray(list(self._text_model.embed(list(texts))), np.float32)
        return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def load_clip(model: str, model_dir: Path | None, cache_dir: Path, *, download: bool) -> Clip:
    """The descriptor for a FastEmbed image model.

    Args:
        model: its name in FastEmbed.
        model_dir: folder with the image model's files, or with folders `vision` and `text`;
            None takes the weights from the cache, or from the model hub.
        cache_dir: where downloaded weights are kept.
        download: whether the hub may be asked.

    Raises:
        ModelError: the name is unknown, or the weights cannot be had.
    """
    check_name(model)
    source, text_source = _sources(model_dir, cache_dir, download=download)
    text = _text_model(model)
    try:
        if text is None or text_source is None:
            return Clip(model, source)
        return ClipWithText(model, source, text, text_source)
    except ModelError:
        raise
    except Exception as error:  # FastEmbed, the hub and ONNX Runtime share no root
        raise ModelError(_cannot_load(model, source, error)) from error


def check_name(model: str) -> None:
    """Raises ModelError unless FastEmbed knows an image model of this name."""
    known = [str(entry["model"]) for entry in ImageEmbedding.list_supported_models()]
    if model.lower() not in (name.lower() for name in known):
        raise ModelError(
            f"There is no image model {model!r}: use `clip`, `built-in`, or one of FastEmbed's: "
            f"{', '.join(known)}."
        )


def _sources(
    model_dir: Path | None, cache_dir: Path, *, download: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    if model_dir is None:
        source = {"cache_dir": str(cache_dir), "local_files_only": not download}
        return source, source
    vision, text = model_dir / "vision", model_dir / "text"
    image_folder = vision if vision.is_dir() else model_dir
    if not any(image_folder.rglob("*.onnx")):
        raise ModelError(
            f"{image_folder} holds no .onnx file: --model-dir names the folder with the image "
            "model's files, or one with the folders `vision` and `text`."
        )
    source = {"specific_model_path": str(image_folder)}
    return source, {"specific_model_path": str(text)} if text.is_dir() else None


def _text_model(model: str) -> str | None:
    """The text tower that shares the model's space: named alike, or the very same."""
    towers = {
        str(entry["model"]).lower(): str(entry["model"])
        for entry in TextEmbedding.list_supported_models()
    }
    return towers.get(model.lower()) or (
        towers.get(model.lower().replace("-vision", "-text")) if "-vision" in model else None
    )


def _slug(model: str) -> str:
    name = model.rpartition("/")[2].lower().removesuffix("-vision").removesuffix("-onnx")
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


def _side(model: ImageEmbedding) -> int:
    """The shorter side that the model's own pre-processing resizes to, in pixels."""
    sizes = [
        getattr(step, "size", None)
        for step in getattr(model.model.processor, "transforms", ())  # type: ignore[attr-defined]
    ]
    edges = [max(size) if isinstance(size, tuple) else size for size in sizes if size]
    return max([int(edge) for edge in edges], default=224)


def _fuse(processor: Compose) -> None:
    """Makes one step of FastEmbed's `Rescale` and `Normalize`, which make five copies between them.

    The result is the same to the last digits of a float32, and an ingest is 4 % faster. Where a
    model's steps are others they stay as they are.
    """
    match processor.transforms[-3:]:
        case [PILtoNDarray(), Rescale() as rescale, Normalize() as normalize]:
            processor.transforms[-2:] = [_ScaleAndShift(rescale.scale, normalize)]


class _ScaleAndShift(Transform):
    def __init__(self, scale: float, normalize: Normalize) -> None:
        mean, std = (np.reshape(part, (-1, 1, 1)) for part in (normalize.mean, normalize.std))
        self._factor = (scale / std).astype(np.float32)
        self._shift = (-mean / std).astype(np.float32)

    def __call__(self, images: list[Any]) -> list[Any]:
        scaled = [np.multiply(image, self._factor, dtype=np.float32) for image in images]
        for image in scaled:
            image += self._shift
        return scaled


def _fingerprint(weights: Path) -> str:
    """A mark of the weights: a hash of their size and of 16 blocks spread over them.

    Reading all of a large model would double the time that it takes to load.
    """
    size = weights.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with weights.open("rb") as file:
        for block in range(16):
            file.seek(size * block // 16)
            digest.update(file.read(65_536))
    return digest.hexdigest()[:16]


def _cannot_load(model: str, source: dict[str, Any], error: Exception) -> str:
    reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else repr(error)
    folder = source.get("specific_model_path")
    if folder is not None:
        return f"The model in {os.fspath(folder)} cannot be loaded as {model}: {reason}"
    return (
        f"The weights of {model} cannot be had ({reason}): connect to the network once, or name "
        "a folder that holds them with --model-dir, or use --model built-in."
    )
