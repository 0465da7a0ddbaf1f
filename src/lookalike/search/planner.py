"""A search in its words, and what it means: targets, weights and a filter for the engine."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from lookalike import record
from lookalike.errors import NotFound, QueryError
from lookalike.fields import fields_of
from lookalike.filters import parser
from lookalike.filters.qdrant_json import where_of
from lookalike.manifest import Manifest
from lookalike.protocols import Descriptors, Engine, ImageLoader
from lookalike.record import record_of
from lookalike.search.calibration import Calibrator
from lookalike.search.request import Request, Where
from lookalike.search.targets import Similarity, Target, Targets
from lookalike.search.weights import choose_weights
from lookalike.types import AnyOfValues, Filter, HasId, ImageInput, Not, Point, WeightedVector, join

MOST_EXAMPLES = 100
"""Examples that the strategy "best" compares with, each by itself."""

TEXT = "text:"
"""What an example of a recommendation begins with when it is words, and no id or file."""


@dataclass(frozen=True, slots=True)
class BlendTarget:
    """One thing to be near to, over one or more aspects.

    Attributes:
        weights: by aspect, as they were asked for; they add up to 1.
        targets: by aspect.
        near: the same for the engine, with the weights that mean influence.
    """

    weights: Mapping[str, float]
    targets: Mapping[str, Target]
    near: tuple[WeightedVector, ...]

    def brought(self, similarities: Sequence[Similarity]) -> dict[str, Similarity]:
        """By aspect, how far above random images it lifts an image with these similarities, in
        standard deviations times the weight; without calibration weight times similarity."""
        return {
            aspect: self.weights[aspect] * target.calibrated(similarity)
            for (aspect, target), similarity in zip(self.targets.items(), similarities, strict=True)
        }


@dataclass(frozen=True, slots=True)
class Plan:
    """A request, understood.

    Attributes:
        weights: by aspect, as they were asked for; they add up to 1.
        goals: an image ranks by the nearest of them.
        against: an image that is nearer to one of these is left out.
        filter: what passes, the examples left out.
        milliseconds: that it took to understand.
    """

    request: Request
    weights: Mapping[str, float]
    goals: Sequence[BlendTarget]
    against: Sequence[BlendTarget]
    filter: Filter | None
    milliseconds: float


@dataclass(slots=True)
class Planner:
    """Understands requests to one index."""

    engine: Engine
    manifest: Manifest
    models: Descriptors
    loader: ImageLoader
    calibrator: Calibrator

    def plan(self, request: Request) -> Plan:
        """What a request means; raises what `Index.search` says."""
        started = time.perf_counter()
        targets = Targets(self.manifest, self.models)
        left_out = self._add(targets, request)
        examples, more = self._examples(request)
        for example, wanted in examples:
            targets.add(example, wanted=wanted)
        if request.color:
            targets.set_colors(request.color)
        weights = choose_weights(
            request.weights,
            targets=list(targets.parts),
            meant=targets.meant,
            aspects=list(self.manifest.aspects),
        )
        passing = join(self.parse(request.where), *left_out, *more)
        goals, against = [targets], list[Targets]()
        if request.strategy == "best" and request.like:
            if request.image or request.id or request.text or request.negative_text:
                raise QueryError("The strategy best takes likes alone: give all of it as likes.")
            goals = [example for example, wanted in examples if wanted]
            against = [example for example, wanted in examples if not wanted]
            if request.color:
                for one in [*goals, *against]:
                    one.set_colors(request.color)
        return Plan(
            request,
            weights,
            [self._goal(request, weights, one) for one in goals],
            [self._goal(request, weights, one) for one in against],
            passing,
            (time.perf_counter() - started) * 1e3,
        )

    def _goal(self, request: Request, asked: Mapping[str, float], targets: Targets) -> BlendTarget:
        """Targets for those aspects that have a weight and something to be near to."""
        calibrator = self.calibrator if request.calibration == "spread" else None
        chosen = {
            aspect: targets.target(aspect, calibrator, summed=request.strategy == "sum")
            for aspect in asked
            if aspect in targets.parts
        }
        if not chosen:
            raise QueryError(
                f"An example has nothing in {', '.join(asked)}: give semantic a weight, or leave "
                "the words out."
            )
        weights = _scaled({aspect: asked[aspect] for aspect in chosen})
        effective = _scaled(
            {
                aspect: weight / (known.spread if (known := chosen[aspect].background) else 1.0)
                for aspect, weight in weights.items()
            }
        )
        near = tuple(
            WeightedVector(self.manifest.aspects[aspect], target.vector, effective[aspect])
            for aspect, target in chosen.items()
        )
        return BlendTarget(weights, chosen, near)

    def parse(self, where: Where | None) -> Filter | None:
        """The filter in words or in Qdrant's JSON as a filter; None for none.

        Raises:
            FilterError: it does not parse, or does not fit the fields.
        """
        if where is None:
            return None
        text = where if isinstance(where, str) else where_of(where)
        return parser.parse(text, fields_of(self.manifest.fields))

    def _add(self, targets: Targets, request: Request) -> list[Filter]:
        """What is searched by; returns what leaves images of the index out of their results."""
        images, ids = _images(request.image), _texts(request.id)
        if request.crop is not None and len(images) + len(ids) != 1:
            raise QueryError("A crop is of one picture: give it with one image or one id.")
        points = self._points(ids)
        for id in ids:
            if id not in points:
                raise NotFound(f"There is no image with the id {id!r} in this index.")
            if request.crop is None:
                targets.add_stored(id, points[id].vectors)
            else:
                uri = record_of(points[id].payload)["uri"]
                targets.add_image(uri, self.loader, box=request.crop)
        for image in images:
            targets.add_image(image, self.loader, box=request.crop)
        for text in _texts(request.text):
            targets.add_text(text)
        if request.negative_text and not any(
            part.wanted for part in targets.parts.get("semantic", ())
        ):
            raise QueryError(
                "There is nothing to take away from: say what to look for too, or use recommend "
                "with what you do not want."
            )
        for text in _texts(request.negative_text):
            targets.add_text(text, wanted=False)
        return [Not(HasId(tuple(ids)))] if ids else []

    def _examples(self, request: Request) -> tuple[list[tuple[Targets, bool]], list[Filter]]:
        """Each like and dislike with whether it is a like; and what leaves them all out."""
        likes, unlikes = _images(request.like), _images(request.unlike)
        if request.strategy == "best":  # which counts each by itself
            likes, unlikes = list(dict.fromkeys(likes)), list(dict.fromkeys(unlikes))
            if len(likes) + len(unlikes) > MOST_EXAMPLES:
                raise QueryError(
                    f"The strategy best compares with each of {len(likes) + len(unlikes):,} "
                    f"examples by itself: give at most {MOST_EXAMPLES}, or use average."
                )
        given = [(one, True) for one in likes] + [(one, False) for one in unlikes]
        points = self._points([one for one, _ in given if isinstance(one, str)])
        hashes, examples = [], []
        for one, wanted in given:
            targets = Targets(self.manifest, self.models)
            if isinstance(one, str) and one in points:
                targets.add_stored(one, points[one].vectors)
            elif isinstance(one, str) and one.startswith(TEXT):
                targets.add_text(one.removeprefix(TEXT).strip())
            else:
                _require_file(one, allowed=request.files)
                hashes.append(targets.add_image(one, self.loader).sha256)
            examples.append((targets, wanted))
        left_out: list[Filter] = [Not(HasId(tuple(points)))] if points else []
        if hashes:
            left_out.append(Not(AnyOfValues(record.SHA256, tuple(hashes))))
        return examples, left_out

    def _points(self, ids: Sequence[str]) -> dict[str, Point]:
        """Those images of the index that are there, with the vectors of every aspect, by id."""
        names = list(self.manifest.aspects.values())
        if not ids:
            return {}
        return {point.id: point for point in self.engine.retrieve(ids, vectors=names)}


def _scaled(weights: Mapping[str, float]) -> dict[str, float]:
    total = math.fsum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _texts(given: str | Sequence[str] | None) -> list[str]:
    """One, several or none as a list."""
    return [] if given is None else [given] if isinstance(given, str) else list(given)


def _images(given: ImageInput | Sequence[ImageInput] | None) -> list[ImageInput]:
    """One, several or none as a list."""
    if isinstance(given, str | bytes | os.PathLike):
        return [given]
    return list(given or ())


def _require_file(example: ImageInput, *, allowed: bool) -> None:
    if isinstance(example, str) and not (allowed and os.path.isfile(example)):  # noqa: PTH113 -- Path raises where a name is too long
        raise NotFound(
            f"{example!r} is neither an image of this index nor a file; words are written "
            f'"{TEXT}{example}".'
        )
