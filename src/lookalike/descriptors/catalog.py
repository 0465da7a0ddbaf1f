"""Models by name: short names, facts, and the files on the model hub that belong to them."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lookalike.descriptors._weights import first_line
from lookalike.errors import ModelError

_SETTINGS = (
    "config.json",
    "preprocessor_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
_DATA_SUFFIX = "_data"


PRECISIONS = ("fp32", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class HubFiles:
    """ONNX files on the model hub.

    Attributes:
        weights: their paths in the repository, that of the image model first.
        revision: commit that is taken; None for the newest. An index notices other weights anyway.
    """

    weights: tuple[str, ...]
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class NamedModel:
    """A model with a short name.

    Attributes:
        name: the short name.
        model: the name that an index records: that of FastEmbed, of a descriptor, or of a
            repository on the hub.
        dimensions: numbers of a vector.
        megabytes: size of the weights, text model included.
        license: of the weights.
        text: languages of texts that it can be searched by; empty if none.
        purpose: what it is for, in a few words.
        hub: files that this package downloads itself; None if FastEmbed does, or nobody needs to.
    """

    name: str
    model: str
    dimensions: int
    megabytes: float
    license: str
    text: str
    purpose: str
    hub: HubFiles | None = None


NAMED = (
    NamedModel(
        "clip", "Qdrant/clip-ViT-B-32-vision", 512, 590, "MIT", "English",
        "photos of all kinds, and words; fast",
    ),
    NamedModel(
        "siglip2", "google/siglip2-base-patch16-224", 768, 1500, "Apache-2.0", "many languages",
        "photos of all kinds, and words; better than CLIP, and slower",
    ),
    NamedModel(
        "fashion", "Marqo/marqo-fashionSigLIP", 768, 815, "Apache-2.0", "English",
        "clothes, shoes and accessories, and words for them",
        HubFiles(("onnx/vision_model.onnx", "onnx/text_model.onnx")),
    ),
    NamedModel(
        "products", "Marqo/marqo-ecommerce-embeddings-B", 768, 815, "Apache-2.0", "English",
        "products of a shop, and words for them",
        HubFiles(("onnx/vision_model.onnx", "onnx/text_model.onnx")),
    ),
    NamedModel(
        "dinov2", "onnx-community/dinov2-small-ONNX", 384, 88, "Apache-2.0", "",
        "the same object or place again",
        HubFiles(("onnx/model.onnx",), "08c606e3123472a388efa59181b677d428f69bbd"),
    ),
    NamedModel(
        "built-in", "lookalike-small-1", 512, 2.5, "Apache-2.0", "1,400 English words",
        "no download: part of the package",
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A model that an index can be made with.

    Attributes:
        name: as `--model` takes it.
        model: the name that an index records.
        dimensions: numbers of a vector.
        megabytes: size of the weights, text model included.
        license: of the weights.
        text: languages of texts that it can be searched by; empty if none.
        purpose: what it is for, in a few words.
        is_here: whether the weights are on this machine.
    """

    name: str
    model: str
    dimensions: int
    megabytes: float
    license: str
    text: str
    purpose: str
    is_here: bool


def default_cache_dir() -> Path:
    """Returns the folder for downloaded weights. Unlike FastEmbed's own, it outlives a restart."""
    import platformdirs

    return platformdirs.user_cache_path("lookalike") / "models"


def split_precision(model: str) -> tuple[str, str | None]:
    """A model's name without its precision, and that: `dinov2:int8` is `dinov2` in int8."""
    name, _, last = model.rpartition(":")
    if name in ("", "onnx") or last not in PRECISIONS:
        return model, None
    return name, None if last == PRECISIONS[0] else last


def named_model(name: str) -> NamedModel | None:
    """The model of a short name, or of the name that an index records."""
    for one in NAMED:
        if name in (one.name, one.model) or name.lower() == one.model.lower():
            return one
    return None


def models(cache_dir: str | os.PathLike[str] | None = None) -> list[ModelInfo]:
    """Lists the models that an index can be made with, those with short names first; any other
    comes from a folder, as `onnx:DIR`.

    Args:
        cache_dir: folder of downloaded weights; by default in the user's cache folder.
    """
    cache = default_cache_dir() if cache_dir is None else Path(cache_dir)
    sources = _fastembed_models()
    listed = []
    for one in NAMED:
        source = sources.pop(one.model, None)
        files = _hub_files(one) if source is None else source.files
        listed.append(
            ModelInfo(
                one.name, one.model, one.dimensions, one.megabytes, one.license, one.text,
                one.purpose, all(_is_cached(*file, cache) for file in files),
            )
        )  # fmt: skip
    listed += [
        ModelInfo(
            name, name, source.dimensions, source.megabytes, source.license, source.text,
            source.purpose, all(_is_cached(*file, cache) for file in source.files),
        )
        for name, source in sources.items()
    ]  # fmt: skip
    return listed


def download(
    model: NamedModel, cache_dir: Path, *, allowed: bool, suffixes: Sequence[str] = ("",)
) -> Path:
    """The folder with the files of a model; downloads those that are not on this machine.

    Args:
        model: one with `hub`.
        cache_dir: folder of downloaded weights.
        allowed: allows a download.
        suffixes: endings of the names of weights, of which one is enough; see `onnx_model`.

    Raises:
        ModelError: they are not there, and cannot be downloaded.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    hub = model.hub or HubFiles(())
    weights = [
        file.removesuffix(".onnx") + suffix + ".onnx" for file in hub.weights for suffix in suffixes
    ]
    data = [file + _DATA_SUFFIX for file in weights]
    options: dict[str, Any] = {
        "revision": hub.revision,
        "cache_dir": cache_dir,
        "allow_patterns": [*weights, *data, *_SETTINGS],
    }
    try:
        folder = snapshot_download(model.model, local_files_only=True, **options)
    except LocalEntryNotFoundError:
        if not allowed:
            raise ModelError(_not_here(model, "no model hub may be asked")) from None
        try:
            folder = snapshot_download(model.model, **options)
        except Exception as error:  # the hub's errors have no common base
            raise ModelError(_not_here(model, first_line(error))) from error
    vision = weights[: len(suffixes)]
    if not any(Path(folder, file).is_file() for file in vision):
        raise ModelError(
            f"The repository {model.model} on the model hub has no {' or '.join(vision)}: export "
            "the model to ONNX once, and name its folder with --model-dir."
        )
    return Path(folder)


def _not_here(model: NamedModel, reason: str) -> str:
    return (
        f"The weights of {model.name} ({model.model}) cannot be loaded ({reason}): connect to the "
        "network once, name a folder that holds them with --model-dir, or use --model built-in."
    )


@dataclass(frozen=True, slots=True)
class _Source:
    """Facts that FastEmbed tells of a model; see `ModelInfo`. `files` are repositories and paths
    in them."""

    dimensions: int
    megabytes: float
    license: str
    text: str
    purpose: str
    files: list[tuple[str, str, str | None]]


def _fastembed_models() -> dict[str, _Source]:
    """The image models of FastEmbed by name."""
    from lookalike.descriptors import clip  # importing FastEmbed takes half a second

    sources = {}
    for image, text in clip.supported_models():
        both = [image] if text is None else [image, text]
        sources[str(image["model"])] = _Source(
            int(image["dim"]),
            round(sum(1000 * float(one["size_in_GB"]) for one in both)),
            str(image["license"]).replace("mit", "MIT").replace("apache", "Apache"),
            "" if text is None else _languages(str(text["description"])),
            _year(str(image["description"])),
            [(str(one["sources"]["hf"]), str(one["model_file"]), None) for one in both],
        )
    return sources


def _year(description: str) -> str:
    found = re.search(r"(\d{4}) year", description)
    return "" if found is None else f"a model of {found[1]}"


def _languages(description: str) -> str:
    return "many languages" if "multilingual" in description.lower() else "English"


def _hub_files(model: NamedModel) -> list[tuple[str, str, str | None]]:
    """Repositories, paths in them and revisions of a model's weights."""
    hub = model.hub
    return [] if hub is None else [(model.model, file, hub.revision) for file in hub.weights]


def _is_cached(repository: str, file: str, revision: str | None, cache_dir: Path) -> bool:
    """Tells if a file of the hub has been downloaded."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, file, cache_dir=cache_dir, revision=revision)
    return isinstance(found, str)
