"""What a search is about: a picture, an image of the index, words, colours, as targets."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from lookalike import query
from lookalike.decoders import DecoderPool
from lookalike.errors import QueryError
from lookalike.manifest import Manifest
from lookalike.models import Models
from lookalike.protocols import DescribesColor, DescribesText
from lookalike.sources import open_source
from lookalike.types import Image, Near, Vector

ImageInput: TypeAlias = str | os.PathLike[str] | bytes
"""A query image: the path of a file, or a file's bytes."""


def decode(image: ImageInput, decoder: DecoderPool, side: int) -> Image:
    """The picture in a file, or in a file's bytes.

    Raises:
        SourceError: there is no such file.
        QueryError: the path names more than one file.
        ImageRejected: it cannot be read.
    """
    if not isinstance(image, bytes):
        path = os.fspath(image)
        source = open_source(path)
        refs = list(source.refs())
        if len(refs) != 1:
            raise QueryError(f"{path} is not one image: give a file.")
        image = source.read(refs[0])
    return decoder.decode(image, side=side)


@dataclass(slots=True)
class Targets:
    """Targets by aspect, several for one where several things were asked for.

    How to get a vector is kept, not the vector: an aspect that turns out not to count need not
    be described.

    Attributes:
        meant: the aspects that count when no weights are given: an image has a colour and a
            texture too, and is meant for what it shows.
    """

    manifest: Manifest
    models: Models
    parts: dict[str, list[Callable[[], Vector]]] = field(default_factory=dict)
    meant: list[str] = field(default_factory=list)

    def add_image(self, image: ImageInput, decoder: DecoderPool) -> None:
        names = self.manifest.aspects.values()
        side = max(self.models.descriptor(name).side for name in names)
        decoded = decode(image, decoder, side)
        for aspect, name in self.manifest.aspects.items():
            self._add(aspect, lambda name=name: self._describe(name, decoded))  # type: ignore[misc]
        self._mean("semantic")

    def add_stored(self, vectors: Mapping[str, Vector]) -> None:
        """An image of the index, by its vectors."""
        for aspect, name in self.manifest.aspects.items():
            self._add(aspect, lambda name=name: vectors[name])  # type: ignore[misc]
        self._mean("semantic")

    def add_text(self, text: str) -> None:
        spec = self.manifest.semantic
        descriptor = self.models.descriptor(spec.name)
        if not isinstance(descriptor, DescribesText):
            raise QueryError(
                f"This index was made with {spec.model}, which knows no words: search by image "
                "or colour, or index into a new folder with `--model clip`."
            )
        self._add("semantic", lambda: descriptor.describe_text([text])[0])
        self._mean("semantic")

    def set_colors(self, names: Sequence[str]) -> None:
        """Colours in the place of what an image brought: "like this, but red"."""
        colors = query.parse_colors(names)
        descriptor = self.models.descriptor(self.manifest.aspects["color"])
        assert isinstance(descriptor, DescribesColor)  # noqa: S101 -- ours always does
        self.parts["color"] = [lambda: descriptor.describe_color(colors)]
        self._mean("color")

    def near(self, weights: Mapping[str, float]) -> tuple[Near, ...]:
        """One target for each aspect that has a weight."""
        return tuple(
            Near(self.manifest.aspects[aspect], self._vector(aspect), weight)
            for aspect, weight in weights.items()
        )

    def _vector(self, aspect: str) -> Vector:
        vectors = [part() for part in self.parts[aspect]]
        return vectors[0] if len(vectors) == 1 else query.combine(vectors)

    def _describe(self, name: str, image: Image) -> Vector:
        vector: Vector = self.models.descriptor(name).describe([image]).vectors[0]
        return vector

    def _add(self, aspect: str, part: Callable[[], Vector]) -> None:
        self.parts.setdefault(aspect, []).append(part)

    def _mean(self, aspect: str) -> None:
        if aspect not in self.meant:
            self.meant.append(aspect)
