"""Any image model in ONNX format, with its text model if it has one."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from lookalike.descriptors import catalog
from lookalike.descriptors._device import AUTO, Batches
from lookalike.descriptors._preprocessing import read_preprocessing
from lookalike.descriptors._probes import depends_on_batch, probes
from lookalike.descriptors._runtime import Network
from lookalike.descriptors._text_tower import TextTower
from lookalike.descriptors._weights import fingerprint, require_text_revision
from lookalike.errors import ModelError
from lookalike.types import Description, Distance, Image, Vector, VectorSpec

PREFIX = "onnx:"
"""Beginning of the name of a model that a folder holds."""

_VISION = (
    "vision.onnx",
    "onnx/vision_model.onnx",
    "vision_model.onnx",
    "vision/model.onnx",
    "onnx/model.onnx",
    "model.onnx",
)
_TEXT = ("text.onnx", "onnx/text_model.onnx", "text_model.onnx", "text/model.onnx")
_OUTPUTS = ("image_embeds", "pooler_output")
SUFFIXES = {None: ("",), "fp16": ("_fp16",), "int8": ("_int8", "_quantized")}
"""Endings of the names of weights by precision, as on the model hub."""

_DATA_SUFFIXES = ("_data", ".data")
"""Endings of a file of weights beside an ONNX file, which alone may have 2 GB."""


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The files of a model, as Hugging Face and Optimum export it.

    Attributes:
        path: the folder.
        vision: the image model.
        text: the text model; None if there is none.
    """

    path: Path
    vision: Path
    text: Path | None

    @classmethod
    def at(cls, path: Path, precision: str | None = None) -> ModelFolder:
        """Finds the files in a folder: the image model in a precision, and the text model in the
        same or, if there is none, in full.

        Raises:
            ModelError: there is no image model.
        """
        if not path.is_dir():
            raise ModelError(f"There is no folder {path}: name the folder of an ONNX model.")
        names = [_with_suffix(name, end) for name in _VISION for end in SUFFIXES[precision]]
        vision = _first_file(path, names)
        if vision is None:
            raise ModelError(
                f"{path} holds no image model{f' in {precision}' if precision else ''}: it needs "
                f"one of {', '.join(names)}, and preprocessor_config.json."
            )
        texts = [_with_suffix(name, end) for name in _TEXT for end in SUFFIXES[precision]]
        return cls(path, vision, _first_file(path, [*texts, *_TEXT]))

    def beside(self, weights: Path, name: str) -> Path:
        """The file of settings that belongs to a model: beside it, or in the folder.

        Raises:
            ModelError: there is none.
        """
        for folder in (weights.parent, self.path):
            if (folder / name).is_file():
                return folder / name
        raise ModelError(f"{self.path} holds no {name}, which the model {weights.name} needs.")


def _with_suffix(name: str, suffix: str) -> str:
    return name.removesuffix(".onnx") + suffix + ".onnx"


def _first_file(folder: Path, names: Sequence[str]) -> Path | None:
    return next(filter(Path.is_file, map(folder.joinpath, names)), None)


class OnnxModel:
    """An image model in ONNX format without a text model. See `protocols.Descriptor`.

    Attributes:
        text_problem: a clause that says why a model that can describe text does not; else empty.
    """

    def __init__(self, files: ModelFolder, model: str, device: str, text_problem: str = "") -> None:
        self.text_problem = text_problem
        settings = files.beside(files.vision, "preprocessor_config.json")
        self._preprocess = read_preprocessing(settings)
        self._network = Network(files.vision, _OUTPUTS, device)
        self._input, self._fixed = _input(self._network, files.vision)
        # In int8, the range of a layer's values is often taken from all pictures of a batch.
        is_int8 = catalog.split_precision(model)[1] == "int8"
        self._batches = Batches(1 if is_int8 else self._fixed)
        self.side = self._preprocess.side
        self.spec = VectorSpec(
            name=_slug(model),
            aspect="semantic",
            size=self._vectors(probes(self.side)[:1]).shape[1],
            distance=Distance.COSINE,
            datatype="float32",
            model=model,
            revision=_revision(files.vision, settings.read_bytes(), self._network.output),
        )

    def describe(self, images: Sequence[Image]) -> Description:
        return Description(self._vectors(images))

    def check(self) -> None:
        """Tries the model before an index is made with it.

        Raises:
            ModelError: the vector of an image depends on others, or on chance.
        """
        if depends_on_batch(self._vectors, self.side):
            raise ModelError(
                f"{self.spec.model} makes another vector of an image alone than of the same image "
                "in a batch, or at random: export it in evaluation mode, and not with dynamic "
                "quantization."
            )

    def _vectors(self, images: Sequence[Image]) -> NDArray[np.float32]:
        """(n, size): the vectors of images."""
        return self._batches.run(self._vectors_of_batch, images)

    def _vectors_of_batch(self, images: Sequence[Image]) -> NDArray[np.float32]:
        arrays = [self._preprocess(image.pixels) for image in images]
        arrays += arrays[-1:] * ((self._fixed or 0) - len(arrays))
        return self._network.vectors({self._input: np.stack(arrays)})[: len(images)]


class OnnxModelWithText(OnnxModel):
    """An image model with a text model, which is loaded with the first text."""

    def __init__(
        self,
        files: ModelFolder,
        text: Path,
        model: str,
        device: str,
        text_revision: str | None = None,
    ) -> None:
        """Loads the image model.

        Args:
            files, text: where the models are.
            model: name of both.
            device: where they run.
            text_revision: the fingerprint that the text model must have; None allows any.
        """
        super().__init__(files, model, device)
        self._text, self._text_revision, self._device = text, text_revision, device
        self._tokenizer = files.beside(text, "tokenizer.json")
        self._tower: TextTower | None = None
        self._lock = Lock()

    def check(self) -> None:
        """Tries both models; see `OnnxModel.check`.

        Raises:
            ModelError: their vectors have different sizes, too.
        """
        super().check()
        together = self._loaded().describe(["a shoe", "a long red dress with sleeves"])
        alone = self._loaded().describe(["a shoe"])
        if alone.shape[1] != self.spec.size:
            raise ModelError(
                f"The text model {self._text} makes vectors of {alone.shape[1]} numbers and the "
                f"image model of {self.spec.size}: export both with their projections, or take the "
                "text model away."
            )
        if np.abs(alone[0] - together[0]).max() > 1e-3:
            raise ModelError(
                f"The text model {self._text} makes another vector of a text alone than beside a "
                "longer one: export it so that it respects its attention mask, or for a fixed "
                "number of tokens."
            )

    def text_revision(self) -> str:
        """The fingerprint of the text model and its tokenizer."""
        return _revision(self._text, self._tokenizer.read_bytes())

    def describe_text(self, texts: Sequence[str]) -> list[Vector]:
        return list(self._loaded().describe(texts))

    def is_cut(self, text: str) -> bool:
        """True if a text is longer than the model reads."""
        return self._loaded().is_cut(text)

    def _loaded(self) -> TextTower:
        with self._lock:
            if self._tower is None:
                revision = self.text_revision()
                require_text_revision(str(self._text), revision, self._text_revision)
                self._tower = TextTower(self._text, self._tokenizer.parent, self._device)
            return self._tower


def load_onnx(
    folder: Path, model: str, text_revision: str | None = None, *, device: str = AUTO
) -> OnnxModel:
    """Loads the model in a folder.

    Args:
        folder: where it is.
        model: its name, which an index records; with a precision, as in `onnx:NAME:int8`.
        text_revision: the fingerprint that the text model must have; None allows any.
        device: where it runs; see `_device`.

    Raises:
        ModelError: a file is missing or cannot be used.
    """
    files = ModelFolder.at(folder, catalog.split_precision(model)[1])
    if files.text is not None:
        return OnnxModelWithText(files, files.text, model, device, text_revision)
    missing = f"its text model is missing: there is no file {folder / _TEXT[0]}"
    return OnnxModel(files, model, device, "" if text_revision is None else missing)


def _input(network: Network, weights: Path) -> tuple[str, int | None]:
    """The name of the input for pictures, and their number if it cannot vary.

    Raises:
        ModelError: the network wants more than pictures.
    """
    if len(network.inputs) != 1:
        raise ModelError(
            f"The image model {weights} has the inputs {', '.join(network.inputs)}: it may have "
            "one, so export the image model by itself."
        )
    ((name, shape),) = network.inputs.items()
    if len(shape) != 4:
        raise ModelError(
            f"The image model {weights} takes no pictures: its input {name} has {len(shape)} "
            "dimensions instead of 4."
        )
    return name, shape[0] if isinstance(shape[0], int) and shape[0] > 0 else None


def _revision(weights: Path, *settings: bytes | str) -> str:
    """A fingerprint of a model, its weights in files beside it, and the settings that its vectors
    depend on."""
    beside = (weights.with_name(weights.name + suffix) for suffix in _DATA_SUFFIXES)
    digest = hashlib.sha256()
    for file in (weights, *filter(Path.is_file, beside)):
        digest.update(fingerprint(file).encode())
    for part in settings:
        digest.update(part.encode() if isinstance(part, str) else part)
    return digest.hexdigest()[:16]


def _slug(model: str) -> str:
    """The name of a model's vector; that of a folder cannot be one of ours."""
    model, precision = catalog.split_precision(model)
    name = model.rpartition("/")[2].removeprefix(PREFIX).lower().removesuffix("-onnx")
    slug = re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:100]
    parts = ["onnx" if model.startswith(PREFIX) else "", slug, precision]
    return "-".join(filter(None, parts))
