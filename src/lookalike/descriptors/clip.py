"""CLIP and all other image models of FastEmbed, run by ONNX Runtime."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import PIL.Image
from fastembed import ImageEmbedding, TextEmbedding
from loguru import logger
from numpy.typing import NDArray

from lookalike.descriptors._device import AUTO, Batches, providers, require_device
from lookalike.descriptors._weights import fingerprint, first_line, require_text_revision
from lookalike.errors import ModelError
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

DEFAULT = "Qdrant/clip-ViT-B-32-vision"

_DEFAULT_SIDE = 224

logger.disable("fastembed")  # a library does not print; our errors repeat what FastEmbed reports


class Clip:
    """An image model of FastEmbed without a text tower. It receives pixels and decodes nothing.

    Each call runs on its caller's thread alone. As many callers as cores keep all cores busy,
    which is faster than one call on all cores.

    Attributes:
        text_problem: a clause that says why a model that can describe text does not; else empty.
    """

    def __init__(self, model: str, source: dict[str, Any], text_problem: str = "") -> None:
        self.text_problem = text_problem
        self._model = ImageEmbedding(model, threads=1, **source)
        self._batches = Batches()
        self.side = _side(self._model)
        self.spec = VectorSpec(
            name=_slug(model),
            aspect="semantic",
            size=self._embed([PIL.Image.new("RGB", (32, 32), "gray")]).shape[1],
            distance=Distance.COSINE,
            datatype="float32",
            model=model,
            revision=fingerprint(_weights_file(self._model)),
        )

    def describe(self, images: Sequence[Image]) -> Description:
        pictures = [PIL.Image.fromarray(image.pixels) for image in images]
        return Description(self._batches.run(self._embed, pictures))

    def _embed(self, images: Sequence[PIL.Image.Image]) -> NDArray[np.float32]:
        rows = list(self._model.embed(list(images), batch_size=max(1, len(images))))
        return np.asarray(rows, np.float32)


class ClipWithText(Clip):
    """An image model with a text tower, which is loaded with the first text.

    Args:
        model, source: the image model, and where FastEmbed finds it.
        text, text_source: the text model, and where FastEmbed finds it.
        text_revision: the fingerprint that the text model must have; None allows any.
    """

    def __init__(
        self,
        model: str,
        source: dict[str, Any],
        text: str,
        text_source: dict[str, Any],
        text_revision: str | None = None,
    ) -> None:
        super().__init__(model, source)
        self._text_model: TextEmbedding | None = None
        self._text = text
        self._text_source = text_source
        self._text_revision = text_revision
        self._lock = Lock()

    def text_revision(self) -> str | None:
        """The fingerprint of the text model; None if its weights are not on this machine."""
        source = self._text_source | {"local_files_only": True}
        try:
            model = TextEmbedding(self._text, lazy_load=True, **source)
            return fingerprint(_weights_file(model))
        except Exception:  # FastEmbed and the hub share no base class
            return None

    def describe_text(self, texts: Sequence[str]) -> list[Vector]:
        rows = np.asarray(list(self._loaded_text_model().embed(list(texts))), np.float32)
        return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))

    def is_cut(self, text: str) -> bool:
        """True if a text is longer than the model reads: 77 tokens in CLIP, about 60 words."""
        inner: Any = self._loaded_text_model().model
        return bool(inner.tokenizer.encode(text).overflowing)

    def _loaded_text_model(self) -> TextEmbedding:
        with self._lock:
            if self._text_model is None:
                self._text_model = self._load_text_model()
            return self._text_model

    def _load_text_model(self) -> TextEmbedding:
        try:
            model = TextEmbedding(self._text, threads=1, **self._text_source)
            revision = fingerprint(_weights_file(model))
        except Exception as error:
            raise ModelError(_cannot_load(self._text, self._text_source, error)) from error
        require_text_revision(self._text, revision, self._text_revision)
        return model


def load_clip(
    model: str,
    model_dir: Path | None,
    cache_dir: Path,
    *,
    download: bool,
    text_revision: str | None = None,
    device: str = AUTO,
) -> Clip:
    """Loads an image model of FastEmbed.

    Args:
        model: its name in FastEmbed.
        model_dir: folder with the image model's files, or with folders `vision` and `text`;
            None takes the weights from the cache, or from the model hub.
        cache_dir: folder of downloaded weights.
        download: allows a download from the hub.
        text_revision: the fingerprint that the text model must have; None allows any.
        device: where it runs; see `_device`.

    Raises:
        ModelError: the name is unknown, or the weights are missing.
    """
    check_name(model)
    source, text_source = _sources(model_dir, cache_dir, download=download)
    runs = {"providers": providers(device)}
    source |= runs
    text = _text_model(model)
    try:
        if text is None:
            loaded = Clip(model, source)
        elif text_source is None:
            missing = f"its text model is missing: there is no folder {_text_folder(model_dir)}"
            loaded = Clip(model, source, missing)
        else:
            loaded = ClipWithText(model, source, text, text_source | runs, text_revision)
        require_device(_session(loaded), device)
        return loaded
    except ModelError:
        raise
    except Exception as error:  # FastEmbed, the hub and ONNX Runtime share no base class
        raise ModelError(_cannot_load(model, source, error)) from error


def check_name(model: str) -> None:
    """Raises ModelError unless FastEmbed has an image model of this name."""
    known = [str(entry["model"]) for entry in ImageEmbedding.list_supported_models()]
    if model.lower() not in (name.lower() for name in known):
        raise ModelError(
            f"There is no image model {model!r:.200}: `lookalike models` lists them, and onnx:DIR "
            "takes one from a folder."
        )


def supported_models() -> list[tuple[dict[str, Any], dict[str, Any] | None]]:
    """FastEmbed's entries of each image model, and of the text model beside it."""
    texts = {str(entry["model"]): entry for entry in TextEmbedding.list_supported_models()}
    return [
        (entry, texts.get(_text_model(str(entry["model"])) or ""))
        for entry in ImageEmbedding.list_supported_models()
    ]


def _sources(
    model_dir: Path | None, cache_dir: Path, *, download: bool
) -> tuple[dict[str, Any], dict[str, Any] | None]:
    """Returns FastEmbed's arguments for the location of the image model and of the text model."""
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


def _text_folder(model_dir: Path | None) -> str:
    """The place where the text model beside an image model is looked for."""
    folder = model_dir or Path()
    return str(folder.parent if folder.name == "vision" else folder) + "/text"


def _text_model(model: str) -> str | None:
    """Returns the text model that shares the image model's space: the one of the same name, or of
    that name with "text" in place of "vision"."""
    known = {
        str(entry["model"]).lower(): str(entry["model"])
        for entry in TextEmbedding.list_supported_models()
    }
    return known.get(model.lower()) or (
        known.get(model.lower().replace("-vision", "-text")) if "-vision" in model else None
    )


def _slug(model: str) -> str:
    name = model.rpartition("/")[2].lower().removesuffix("-vision").removesuffix("-onnx")
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")


# FastEmbed has no public way to ask for the three things below, nor for that of `is_cut`.
# tests/descriptors/test_clip.py fails when they move.


def _side(model: ImageEmbedding) -> int:
    """Returns the shorter side, in pixels, to which the model's pre-processing resizes."""
    inner: Any = model.model
    sizes = [getattr(step, "size", None) for step in inner.processor.transforms]
    edges = [max(size) if isinstance(size, tuple) else size for size in sizes if size]
    return max([int(edge) for edge in edges], default=_DEFAULT_SIDE)


def _weights_file(model: ImageEmbedding | TextEmbedding) -> Path:
    inner: Any = model.model
    return Path(inner._model_dir, inner.model_description.model_file)


def _session(model: Clip) -> Any:
    inner: Any = model._model.model
    return inner.model


def _cannot_load(model: str, source: dict[str, Any], error: Exception) -> str:
    reason = first_line(error)
    folder = source.get("specific_model_path")
    if folder is not None:
        return f"The model in {os.fspath(folder)} cannot be loaded as {model}: {reason}"
    return (
        f"The weights of {model} cannot be loaded ({reason}): connect to the network once, name a "
        "folder that holds them with --model-dir, or use --model built-in."
    )
