"""What a search is about: pictures, images of the index, words, colors, as targets by aspect."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.manifest import Manifest
from lookalike.protocols import DescribesColor, DescribesText, Descriptors, ImageLoader
from lookalike.search import colors
from lookalike.search.calibration import Calibrator
from lookalike.search.colors import ColorInput
from lookalike.types import Background, Image, ImageInput, Vector

Floats: TypeAlias = NDArray[np.floating]

Similarity = TypeVar("Similarity", float, Floats)
"""That of one image, or of many at a time."""

Box: TypeAlias = Sequence[float]
"""A part of a picture: x, y, width, height as shares of the whole, from the upper left corner."""

UNWANTED = 0.25
"""How much what is not wanted counts beside what is (Rocchio's gamma over beta). Measured on
labeled photos: misleading dislikes lie close to the likes, and a larger factor, such as the 0.5
of Qdrant's average vector, pushes away what is wanted; from 0.15 to 0.3 it hardly matters."""


class Kind(StrEnum):
    """What a part of a target was made of: similarities to each lie in another band."""

    IMAGE = "image"
    WORDS = "words"
    COLORS = "colors"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to be like, or unlike, in one aspect.

    How to get its vector is kept, not the vector: an aspect that turns out not to count need not
    be described.
    """

    label: str
    kind: Kind
    vector: Callable[[], Vector]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """What one aspect is compared with.

    Attributes:
        vector: of length 1.
        label: in words.
        background: how similar random images are to it; None without calibration.
        pictured: whether it is the vector of one picture, so that the best similarity is 1.
    """

    vector: Vector
    label: str
    background: Background | None
    pictured: bool

    def calibrated(self, similarity: Similarity) -> Similarity:
        """How far above random images, in standard deviations; as it is without calibration."""
        if self.background is None:
            return similarity
        return (similarity - self.background.mean) / self.background.spread


def crop(image: Image, box: Box) -> Image:
    """The part of a picture that `box` names; it must be `checked_box`."""
    x, y, width, height = box
    rows, columns = image.pixels.shape[:2]
    left, top = round(x * columns), round(y * rows)
    right = max(left + 1, round((x + width) * columns))
    bottom = max(top + 1, round((y + height) * rows))
    part = (slice(min(top, rows - 1), bottom), slice(min(left, columns - 1), right))
    return replace(
        image,
        pixels=np.ascontiguousarray(image.pixels[part]),
        alpha=None if image.alpha is None else np.ascontiguousarray(image.alpha[part]),
        width=max(1, round(width * image.width)),
        height=max(1, round(height * image.height)),
    )


def checked_box(box: Box) -> Box:
    """`box` if it lies within the picture.

    Raises:
        QueryError: it does not, or is not four numbers.
    """
    if len(box) != 4 or not all(np.isfinite(box)):
        raise QueryError(f"The crop {_numbers(box)} is not x,y,width,height: give four numbers.")
    x, y, width, height = box
    inside = x >= 0 and y >= 0 and x + width <= 1 + 1e-6 and y + height <= 1 + 1e-6
    if not inside or width <= 0 or height <= 0:
        raise QueryError(
            f"The crop {_numbers(box)} does not lie within the picture: give x,y,width,height as "
            "shares of it, as in 0.25,0,0.5,1."
        )
    return box


def _numbers(box: Box) -> str:
    return ",".join(f"{number:g}" for number in box)


@dataclass(slots=True)
class Targets:
    """What is asked for, by aspect.

    Attributes:
        meant: the aspects that count when no weights are given: an image has a color and a
            texture too, and is meant for what it shows.
    """

    manifest: Manifest
    models: Descriptors
    parts: dict[str, list[Part]] = field(default_factory=dict)
    meant: list[str] = field(default_factory=list)

    def add_image(
        self,
        image: ImageInput,
        loader: ImageLoader,
        *,
        box: Box | None = None,
    ) -> Image:
        """A picture, or the part of it in `box`; returns it as it was decoded."""
        names = self.manifest.aspects.values()
        side = max(self.models.descriptor(name).side for name in names)
        if box is not None:
            side = round(side / max(min(checked_box(box)[2:]), 1e-6))
        decoded = loader.load(image, side)
        shown = decoded if box is None else crop(decoded, box)
        label = "image" if isinstance(image, bytes) else Path(image).name
        if box is not None:
            label += f" at {_numbers(box)}"
        for aspect, name in self.manifest.aspects.items():
            self._add(aspect, label, Kind.IMAGE, partial(self._describe, name, shown))
        self._mean("semantic")
        return decoded

    def add_stored(self, id: str, vectors: Mapping[str, Vector]) -> None:
        """An image of the index, by its vectors."""
        for aspect, name in self.manifest.aspects.items():
            self._add(aspect, id, Kind.IMAGE, partial(vectors.__getitem__, name))
        self._mean("semantic")

    def add_text(self, text: str, *, wanted: bool = True) -> None:
        if not text.strip():
            raise QueryError("A text to search by is empty: give words.")
        spec = self.manifest.semantic
        descriptor = self.models.descriptor(spec.name)
        if not isinstance(descriptor, DescribesText):
            raise QueryError(
                f"This index was made with {spec.model}, which knows no words: search by image "
                "or color, or index into a new folder with `--model clip`."
            )
        label = f"“{text}”"
        self._add(
            "semantic", label, Kind.WORDS, lambda: descriptor.describe_text([text])[0], wanted
        )
        self._mean("semantic")

    def set_colors(self, given: ColorInput) -> None:
        """Colors in the place of what an image brought: "like this, but red"."""
        palette = colors.parse_palette(given)
        descriptor = self.models.descriptor(self.manifest.aspects["color"])
        assert isinstance(descriptor, DescribesColor)  # noqa: S101 -- ours always does
        label = colors.describe(given)
        self.parts["color"] = [Part(label, Kind.COLORS, lambda: descriptor.describe_color(palette))]
        self._mean("color")

    def add(self, other: Targets, *, wanted: bool) -> None:
        """Everything that `other` is about."""
        for aspect, parts in other.parts.items():
            mine = self.parts.setdefault(aspect, [])
            mine.extend(replace(part, wanted=wanted) for part in parts)
        for aspect in other.meant:
            self._mean(aspect)

    def target(self, aspect: str, calibrator: Calibrator | None, *, summed: bool = False) -> Target:
        """The parts of one aspect as one target.

        Each part is divided by the spread of its similarities, so that words, which lie in a
        narrow band, count as much as a picture. The mean of what is not wanted is taken, a
        quarter of it, from the mean of what is; or, `summed`, all of the one from all of the
        other.

        Raises:
            QueryError: they cancel out.
        """
        name, parts = self.manifest.aspects[aspect], self.parts[aspect]
        vectors = [_unit(part.vector()) for part in parts]
        pictured = len(parts) == 1 and parts[0].wanted and parts[0].kind is Kind.IMAGE
        if len(parts) == 1 and parts[0].wanted:
            vector: Vector = vectors[0]
        else:
            spreads = [
                _spread(calibrator, name, one, part.kind)
                for one, part in zip(vectors, parts, strict=True)
            ]
            scaled = [one / spread for one, spread in zip(vectors, spreads, strict=True)]
            wanted = [part.wanted for part in parts]
            vector = _combine(
                [one for one, yes in zip(scaled, wanted, strict=True) if yes],
                [one for one, yes in zip(scaled, wanted, strict=True) if not yes],
                summed=summed,
            )
        background = calibrator.background(name, vector, pictured=pictured) if calibrator else None
        return Target(vector, _label(parts), background, pictured)

    def _describe(self, name: str, image: Image) -> Vector:
        vector: Vector = self.models.descriptor(name).describe([image]).vectors[0]
        return vector

    def _add(
        self,
        aspect: str,
        label: str,
        kind: Kind,
        vector: Callable[[], Vector],
        wanted: bool = True,
    ) -> None:
        self.parts.setdefault(aspect, []).append(Part(label, kind, vector, wanted))

    def _mean(self, aspect: str) -> None:
        if aspect not in self.meant:
            self.meant.append(aspect)


def _spread(calibrator: Calibrator | None, name: str, vector: Vector, kind: Kind) -> float:
    background = None
    if calibrator is not None:
        background = calibrator.background(name, vector, pictured=kind is Kind.IMAGE)
    return 1.0 if background is None else background.spread


def _combine(wanted: Sequence[Floats], unwanted: Sequence[Floats], *, summed: bool) -> Vector:
    """One direction out of several: ranking by it is ranking by the mean similarity to what is
    wanted, less a part of that to what is not."""
    merge, part = (np.sum, 1.0) if summed else (np.mean, UNWANTED if wanted else 1.0)
    total: Floats = np.zeros_like((*wanted, *unwanted)[0])
    if wanted:
        total = total + merge(wanted, axis=0)
    if unwanted:
        total = total - part * merge(unwanted, axis=0)
    longest = max(float(np.linalg.norm(one)) for one in (*wanted, *unwanted))
    if np.linalg.norm(total) < 1e-6 * longest:
        raise QueryError("The targets contradict each other: together they point nowhere.")
    return _unit(total)


def _unit(vector: Vector | Floats) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _label(parts: Sequence[Part]) -> str:
    shown = [part.label if part.wanted else f"not {part.label}" for part in parts]
    rest = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return " + ".join(shown[:4]) + rest
