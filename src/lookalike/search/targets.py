"""Targets: the vectors that a search compares images with, one per aspect.

A picture, a stored image, a text or a palette is read into parts, each for one aspect; the parts
of an aspect are combined into one target, and the targets of all weighted aspects are a blend.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from lookalike.errors import QueryError
from lookalike.imaging.color_terms import RGB
from lookalike.manifest import Manifest
from lookalike.protocols import (
    DescribesColor,
    DescribesText,
    Descriptors,
    ImageLoader,
    KnowsWords,
)
from lookalike.search import colors
from lookalike.search.calibration import Calibrator
from lookalike.search.embedding import text_describers
from lookalike.search.request import Box, ColorInput, VectorInput
from lookalike.types import (
    Background,
    Distance,
    Image,
    ImageInput,
    Mention,
    Vector,
    VectorSpec,
    WeightedVector,
)

Floats: TypeAlias = NDArray[np.floating]

Similarity = TypeVar("Similarity", float, Floats)
"""The similarity of one image, or of many at a time."""

_SHORT = 70
"""Characters of a text that every model reads to its end."""

UNWANTED = 0.25
"""Weight of unwanted parts beside wanted ones (Rocchio's gamma over beta). Measured on labeled
photos: misleading dislikes lie close to the likes, and a larger factor, such as the 0.5 of
Qdrant's average vector, pushes away wanted images; from 0.15 to 0.3 it hardly matters."""


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to be like, or unlike, in one aspect.

    Attributes:
        aspect: the aspect it belongs to.
        name: name of the aspect's vector.
        label: for people.
        describe: computes its vector; never called for an aspect that has no weight.
        pictured: whether the vector is that of a picture.
        counts: whether the aspect counts when no weights are given. A picture has a color and a
            texture too, but is meant for what it shows.
        wanted: False for what results should be unlike.
    """

    aspect: str
    name: str
    label: str
    describe: Callable[[], Vector]
    pictured: bool
    counts: bool
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """The target of one aspect.

    Attributes:
        aspect: the aspect.
        label: for people.
        near: the vector, with the weight that means influence; those of a blend add up to 1.
        weight: the weight asked for; those of a blend add up to 1.
        background: similarity of random images to it; None without calibration.
        pictured: whether it is the vector of one picture.
    """

    aspect: str
    label: str
    near: WeightedVector
    weight: float
    background: Background | None
    pictured: bool

    @property
    def perfect(self) -> float:
        """The similarity of the target to itself."""
        target = self.near.vector
        return float(self.near.distance.likeness(target[None], target)[0])

    def contribution(self, similarity: Similarity) -> Similarity:
        """The weight times the distance of a similarity above that of random images, in standard
        deviations; without calibration the weight times the similarity."""
        if self.background is None:
            return self.weight * similarity
        return self.weight * ((similarity - self.background.mean) / self.background.spread)


Blend: TypeAlias = Sequence[Target]
"""Targets that images are ranked by, one per weighted aspect."""


# --- reading --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PartReader:
    """Reads what a request names into parts."""

    manifest: Manifest
    models: Descriptors
    loader: ImageLoader

    def read_image(self, image: ImageInput, box: Box | None = None) -> tuple[list[Part], Image]:
        """The parts of a picture, or of the part of it in `box`; and the whole picture, decoded."""
        side = max(
            self.models.descriptor(name).side
            for name in self.manifest.aspects.values()
            if self.models.is_available(name)
        )
        if box is not None:
            side = round(side / max(min(_checked_box(box)[2:]), 1e-6))
        decoded = self.loader.load(image, side)
        shown = decoded if box is None else _crop(decoded, box)
        label = Path(image).name if isinstance(image, str | os.PathLike) else "image"
        if box is not None:
            label += f" at {_numbers(box)}"
        return self._pictured(label, lambda name: partial(self._describe, name, shown)), decoded

    def read_stored(self, id: str, vectors: Mapping[str, Vector]) -> list[Part]:
        """The parts of an image of the index, from its vectors."""
        return self._pictured(id, lambda name: partial(_stored_vector, id, vectors, name))

    def read_vectors(self, vectors: VectorInput) -> list[Part]:
        """The parts of vectors that a caller has made elsewhere."""
        by_aspect = vectors if isinstance(vectors, Mapping) else {"semantic": vectors}
        return [
            Part(aspect, name, "vector", partial(np.array, checked, np.float32), False, True)
            for aspect, numbers in by_aspect.items()
            for name, checked in [self.manifest.checked_vector(aspect, numbers)]
        ]

    def text_colors(self, text: str) -> list[Mention]:
        """The colors that a text mentions, if the index's model tells them from things.

        Raises:
            QueryError: it does not know a word.
        """
        return [one for one in self.mentions(text) if one.is_color]

    def read_text(self, text: str, *, wanted: bool = True, gated: bool = False) -> list[Part]:
        """The parts of a text: what it says is shown, and its colors.

        Args:
            text: words.
            wanted: False for what results should not show.
            gated: whether its wanted colors are left out, as they are a condition; see `ColorGate`.

        Raises:
            QueryError: the index does not support text, or its model does not know a word.
        """
        if not text.strip():
            raise QueryError("A text to search by is empty: give words.")
        mentions = self.mentions(text)
        parts = [
            replace(part, wanted=one.wanted is wanted)
            for one in mentions
            if one.is_color and not (gated and one.wanted is wanted)
            for part in self.read_colors([one.name])
        ]
        if mentions and all(one.is_color for one in mentions):
            return parts
        describers = text_describers(self.manifest, self.models)
        shown = [
            Part(
                aspect,
                self.manifest.aspects[aspect],
                _label_of_text(text, descriptor),
                partial(_describe_text, descriptor, text),
                False,
                aspect == "semantic" or "semantic" not in describers,
                wanted,
            )
            for aspect, descriptor in describers.items()
        ]
        return [*shown, *parts]

    def mentions(self, text: str) -> Sequence[Mention]:
        """Returns what a text mentions; empty where the index takes any text, or has no colors."""
        describer = text_describers(self.manifest, self.models).get("semantic")
        if not isinstance(describer, KnowsWords) or "color" not in self.manifest.aspects:
            return []
        return describer.mentions(text)

    def read_colors(self, palette: ColorInput) -> list[Part]:
        name = self.manifest.aspects["color"]
        descriptor = self.models.descriptor(name)
        assert isinstance(descriptor, DescribesColor)  # noqa: S101 -- ours always does
        describe = partial(descriptor.describe_color, colors.parse_palette(palette))
        return [Part("color", name, colors.describe(palette), describe, False, True)]

    def read_shades(self, shades: Sequence[RGB], label: str) -> list[Part]:
        """The part of a picture with these colors in equal shares."""
        name = self.manifest.aspects["color"]
        descriptor = self.models.descriptor(name)
        assert isinstance(descriptor, DescribesColor)  # noqa: S101 -- ours always does
        describe = partial(descriptor.describe_color, [(rgb, 1.0) for rgb in shades])
        return [Part("color", name, label, describe, False, True)]

    def _pictured(self, label: str, describer: Callable[[str], Callable[[], Vector]]) -> list[Part]:
        return [
            Part(aspect, name, label, describer(name), True, aspect == "semantic")
            for aspect, name in self.manifest.aspects.items()
        ]

    def _describe(self, name: str, image: Image) -> Vector:
        vector: Vector = self.models.descriptor(name).describe([image]).vectors[0]
        return vector


def _stored_vector(id: str, vectors: Mapping[str, Vector], name: str) -> Vector:
    """A vector of an image.

    Raises:
        QueryError: the image has none of that name.
    """
    if name not in vectors:
        raise QueryError(
            f"The image {id!r:.200} has no vector {name}: give that aspect no weight, or see "
            "`lookalike verify`."
        )
    return vectors[name]


def _label_of_text(text: str, descriptor: DescribesText) -> str:
    is_cut = len(text) > _SHORT and getattr(descriptor, "is_cut", bool)(text)
    return f"“{text}”" + (" (the model reads only its beginning)" if is_cut else "")


def _describe_text(descriptor: DescribesText, text: str) -> Vector:
    return descriptor.describe_text([text])[0]


def replace_colors(parts: Sequence[Part], palette: Sequence[Part]) -> list[Part]:
    """The parts with a palette in place of the colors of pictures: "like this, but red"."""
    return [*(part for part in parts if part.aspect != "color"), *palette]


def unwanted(parts: Sequence[Part]) -> list[Part]:
    """The parts, as those of something that results should be unlike."""
    return [replace(part, wanted=False) for part in parts]


# --- combining ------------------------------------------------------------------------------


def combine(
    parts: Sequence[Part],
    weights: Mapping[str, float],
    calibrator: Calibrator | None,
    vectors: Mapping[str, VectorSpec],
    *,
    summed: bool = False,
) -> Blend:
    """Combines parts into one target per weighted aspect.

    Args:
        parts: of any aspects.
        weights: by aspect.
        calibrator: None takes weights as plain factors.
        vectors: the vectors of the index, by name.
        summed: whether the parts of an aspect add up instead of being averaged; see `_target`.

    Raises:
        QueryError: no aspect has both, or the parts of one cancel out or have no nearest point.
    """
    own = {aspect: [part for part in parts if part.aspect == aspect] for aspect in weights}
    own = {aspect: several for aspect, several in own.items() if several}
    if not own:
        raise QueryError(
            f"An example has nothing in {', '.join(weights)}: give semantic a weight, or leave "
            "the words out."
        )
    total = math.fsum(weights[aspect] for aspect in own)
    targets = [
        _target(
            several,
            weights[aspect] / total,
            vectors[several[0].name].distance,
            calibrator,
            summed,
        )
        for aspect, several in own.items()
    ]
    influence = math.fsum(target.near.weight for target in targets)
    return [
        replace(one, near=replace(one.near, weight=one.near.weight / influence)) for one in targets
    ]


def _target(
    parts: Sequence[Part],
    weight: float,
    distance: Distance,
    calibrator: Calibrator | None,
    summed: bool,
) -> Target:
    """Combines the parts of one aspect, and divides the weight by the target's spread.

    For cosine each part is divided by the spread of its similarities, so that text, which lies in a
    narrow band, counts as much as a picture. See `_mixture` for how they combine.
    """
    first, wanted = parts[0], [part.wanted for part in parts]
    vectors = [np.asarray(part.describe(), np.float32) for part in parts]
    if distance is Distance.COSINE:
        vectors = [_unit(one) for one in vectors]
    single = len(parts) == 1 and first.wanted
    vector: Vector = vectors[0]
    if not single:
        scaled: Sequence[Floats] = vectors
        if calibrator is not None and distance is Distance.COSINE:
            scaled = [
                one / _spread(calibrator, part, one)
                for part, one in zip(parts, vectors, strict=True)
            ]
        vector = _mixture(distance, scaled, wanted, summed=summed)
    pictured = single and first.pictured
    background = None
    if calibrator is not None:
        background = calibrator.background(first.name, vector, distance, pictured=pictured)
    influence = weight / (background.spread if background else 1.0)
    near = WeightedVector(first.name, vector, influence, distance)
    return Target(first.aspect, _label(parts), near, weight, background, pictured)


def _spread(calibrator: Calibrator, part: Part, vector: Vector) -> float:
    distance = Distance.COSINE
    background = calibrator.background(part.name, vector, distance, pictured=part.pictured)
    return 1.0 if background is None else background.spread


def _mixture(
    distance: Distance, vectors: Sequence[Floats], wanted: Sequence[bool], *, summed: bool
) -> Vector:
    """One target for several vectors.

    A quarter of the mean of the unwanted ones is subtracted from the mean of the wanted ones; or,
    if `summed`, the sum of the one from that of the other. By products, ranking by the result is
    ranking by such a mean of similarities; by distances, it is the point from which such a mean of
    squared distances is least.
    """
    pros, cons = sum(wanted), len(wanted) - sum(wanted)
    share = UNWANTED if pros else 1.0
    gain, cost = (1.0, 1.0) if summed else (1 / max(pros, 1), share / max(cons, 1))
    factors = [gain if one else -cost for one in wanted]
    total: Floats = np.sum([f * one for f, one in zip(factors, vectors, strict=True)], axis=0)
    if not distance.is_product:
        if math.fsum(factors) < 1e-6:
            raise QueryError(
                f"No point is farthest by the distance {distance}: give more to be like than "
                "unlike, or no weight to the aspect."
            )
        return np.asarray(total / math.fsum(factors), np.float32)
    longest = max(float(np.linalg.norm(one)) for one in vectors)
    if np.linalg.norm(total) < 1e-6 * longest:
        raise QueryError("The targets contradict each other: together they point nowhere.")
    return _unit(total) if distance is Distance.COSINE else np.asarray(total, np.float32)


def _unit(vector: Vector | Floats) -> NDArray[np.float32]:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)


def _label(parts: Sequence[Part]) -> str:
    shown = [part.label if part.wanted else f"not {part.label}" for part in parts]
    rest = f" and {len(shown) - 4} more" if len(shown) > 4 else ""
    return " + ".join(shown[:4]) + rest


# --- standing -------------------------------------------------------------------------------


def contributions(blend: Blend, similarities: Sequence[Similarity]) -> dict[str, Similarity]:
    """The contribution of each aspect for an image, or images, with these similarities."""
    return {
        target.aspect: target.contribution(similarity)
        for target, similarity in zip(blend, similarities, strict=True)
    }


def standing(blend: Blend, vectors: Mapping[str, Floats]) -> Floats:
    """(n,): the distance of n images above random ones: the sum of their contributions.

    Args:
        blend: what they are compared with.
        vectors: (n, size) by name.
    """
    similarities = [
        target.near.distance.likeness(vectors[target.near.name], target.near.vector)
        for target in blend
    ]
    return np.asarray(sum(contributions(blend, similarities).values()), np.float32)


# --- crops ----------------------------------------------------------------------------------


def _crop(image: Image, box: Box) -> Image:
    """The part of a picture in a checked box."""
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


def _checked_box(box: Box) -> Box:
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
