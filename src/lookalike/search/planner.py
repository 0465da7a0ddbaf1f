"""Planning: a request becomes targets, weights, a filter, and limits for the search."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lookalike import record
from lookalike.errors import NotFound, QueryError
from lookalike.fields import Field
from lookalike.filters import parse_where
from lookalike.manifest import Manifest
from lookalike.protocols import Descriptors, Engine, ImageLoader, ServedEngine, missing_image
from lookalike.record import record_of
from lookalike.search import rerank
from lookalike.search.calibration import LEAST, Calibrator
from lookalike.search.color_gate import ColorGate
from lookalike.search.lone_image import LoneImage
from lookalike.search.products import product_field
from lookalike.search.request import TEXT, Request
from lookalike.search.sorting import SORTED, Order
from lookalike.search.targets import (
    Blend,
    Part,
    PartReader,
    combine,
    contributions,
    replace_colors,
    standing,
    unwanted,
)
from lookalike.search.threshold import MOST_CANDIDATES, FirstRound
from lookalike.search.weights import choose_weights, presets_of
from lookalike.system.inputs import PlainImage, ids_of, is_url, plain_images
from lookalike.types import AnyOfValues, Filter, HasId, Not, Point, Query, join

MOST_EXAMPLES = 100
"""Examples that the strategy "best" compares with, each by itself."""

CHUNK = 100
"""Rows that are diversified together."""
FIRST_POOL = 100
LARGEST_POOL = 1_600
EXACT_POOL = 100_000
"""Size of the pool whose rows are diversified or collapsed: at first, at most, and at most in an
exact search. A pool that does not suffice is made four times as large."""
EXACT_CANDIDATES = 1_000_000
"""Limit of candidates per target in an exact search, for the sake of memory. Of 200 blends over
100,000 points none took more than 1,600 to prove."""

SMALL_INDEX = 5_000
"""Size up to which an index is always searched exactly. Engines build no graph for so few images,
so an exact search costs the same."""
FEW_MATCHES = 1_000
"""Number of images up to which those that pass a filter are always searched exactly. Among 100,000
images of 512 dimensions an exact search of 1,000 took 0.22 ms and the graph 0.20; of 3,000, 0.63 ms
and 0.35. From a cold disk the 1,000 took 28 ms and the graph 4."""
_MANY = 1_000
"""Number of rows from which it pays to count the matching images first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A request in terms of the engine: targets, a filter, limits.

    Attributes:
        request: the request.
        weights: weights by aspect, as requested; they add up to 1.
        blends: an image ranks by the nearest of them.
        against: an image that is nearer to one of these is left out.
        filter: the request's filter, without the images that are examples.
        exact: whether the engine compares every matching image.
        matching: an upper bound of the number of matching images; None if unknown.
        floor: how far above random images a hit must stand; None to keep all.
        gate: the color words, if images are ranked by how far they have the colors first.
        product: the field of whose values the best image is shown each; None to show all.
        order: the order that the best hits are put in; None for that of the ranking.
        color_vector: name of the vector that serves the aspect `color`.
        pool: number of rows to select the page from, if `needs_pool`.
        first: the answers to the first queries, where they came with the targets.
        milliseconds: time spent on planning.
    """

    request: Request
    weights: Mapping[str, float]
    blends: Sequence[Blend]
    against: Sequence[Blend]
    filter: Filter | None
    exact: bool
    matching: int | None
    floor: float | None
    gate: ColorGate | None
    product: Field | None
    order: Order | None
    color_vector: str
    pool: int
    first: FirstRound | None
    milliseconds: float

    @property
    def needs_pool(self) -> bool:
        """True if the page is selected from more rows than it shows."""
        several = len(self.blends) > 1 or self.against or self.gate or self.order
        return bool(self.request["diversity"] or self.request["collapse"] or several)

    @property
    def most_candidates(self) -> int:
        """The limit of candidates per target."""
        return self._bounded(EXACT_CANDIDATES) if self.exact else MOST_CANDIDATES

    @property
    def largest_pool(self) -> int:
        return self._bounded(EXACT_POOL) if self.exact else LARGEST_POOL

    def _bounded(self, limit: int) -> int:
        return limit if self.matching is None else min(limit, self.matching)

    def with_larger_pool(self) -> Plan:
        return replace(self, pool=4 * self.pool)

    @property
    def branches(self) -> Sequence[tuple[Blend, Filter | None]]:
        """The blends, each with the filter of its candidates. With color words, images that may
        have the colors are looked for by themselves, as there may be few among the nearest."""
        filters = [self.filter]
        if self.gate is not None and self.gate.filter is not None:
            filters.insert(0, join(self.filter, self.gate.filter))
        return [(blend, filter) for filter in filters for blend in self.blends]

    def queries(self) -> list[Query]:
        """One query per branch, for the page or for the pool."""
        limit, offset = self.request["limit"], self.request["offset"]
        if self.needs_pool:
            limit, offset = self.pool, 0
        if self.matching is not None:
            offset = min(offset, self.matching)
            limit = max(1, min(limit, self.matching - offset))
        return [
            Query(
                tuple(target.near for target in blend),
                filter,
                limit,
                offset,
                vectors=tuple(self._compared_vectors()),
                exact=self.exact,
            )
            for blend, filter in self.branches
        ]

    def _compared_vectors(self) -> set[str]:
        """Names of the vectors by which rows are compared once they are found."""
        compared = [*self.against, *(self.blends if self.request["diversity"] else ())]
        names = {target.near.name for blend in compared for target in blend}
        return names | ({self.color_vector} if self.request["collapse"] is True else set())


def rows_needed(request: Request) -> int:
    """The number of best rows that determine the page."""
    last = SORTED if request["sort"] else request["offset"] + request["limit"]
    return math.ceil(last / CHUNK) * CHUNK if request["diversity"] else last


@dataclass(slots=True)
class Planner:
    """Plans requests to one index.

    Attributes:
        is_large: True once the index has been seen to hold more than `SMALL_INDEX` images.
    """

    engine: Engine
    manifest: Manifest
    models: Descriptors
    loader: ImageLoader
    calibrator: Calibrator
    is_large: bool = False

    def plan(self, request: Request) -> Plan:
        """Plans a request; raises what `Index.search` says."""
        started = time.perf_counter()
        request = self._with_text_colors(request)
        lone = LoneImage.of(request, self.engine, most=_MANY)
        parts, excluded = self._read_targets(request, lone)
        likes, unlikes, examples = self._read_examples(request)
        parts += [part for like in likes for part in like]
        parts += [part for unlike in unlikes for part in unwanted(unlike)]
        wanted, against = [parts], list[list[Part]]()
        if request["strategy"] == "best" and request["like"]:
            _require_likes_alone(request)
            wanted, against = likes, unlikes
        gate = self._gate(request, wanted)
        if gate is not None:
            wanted, against = (
                self._gated(gate, wanted),
                [replace_colors(one, []) for one in against],
            )
            parts = [part for several in wanted for part in several]
        elif request["color"]:
            palette = self._reader.read_colors(request["color"])
            parts = replace_colors(parts, palette)
            wanted = [replace_colors(one, palette) for one in wanted]
            against = [replace_colors(one, palette) for one in against]
        weights = choose_weights(
            request["weights"],
            targets=list(dict.fromkeys(part.aspect for part in parts)),
            default=list(dict.fromkeys(part.aspect for part in parts if part.counts)),
            aspects=list(self.manifest.aspects),
            presets=presets_of(self.manifest),
        )
        where = parse_where(
            request["where"],
            self.manifest.all_fields,
            request["params"],
            engine=self.engine,
        )
        filter = join(where, *excluded, *examples)
        exact, matching = self._limits(request, where, filter)
        first = self._first_round(lone, request, weights, filter, exact=exact) if lone else None
        blends = [self._combine(request, one, weights) for one in wanted]
        return Plan(
            request=request,
            weights=weights,
            blends=blends,
            against=[self._combine(request, one, weights) for one in against],
            filter=filter,
            exact=exact,
            matching=matching,
            floor=self._floor(blends) if request["relevant"] else None,
            gate=gate,
            product=self._product(request),
            order=self._order(request),
            color_vector=self.manifest.aspects["color"],
            pool=max(FIRST_POOL, rows_needed(request)),
            first=first,
            milliseconds=(time.perf_counter() - started) * 1e3,
        )

    # --- colors -----------------------------------------------------------------------------

    def _with_text_colors(self, request: Request) -> Request:
        """The request with the colors of its texts among its colors: "red dress" is a dress that
        is red."""
        texts = _texts(request["text"])
        mentions = [one for text in texts for one in self._reader.text_colors(text)]
        names = [one.name for one in mentions if one.wanted]
        if not names:
            return request
        given = request["color"] or []
        if isinstance(given, Mapping):
            given = [f"{name}={share}" for name, share in given.items()]
        several = [given] if isinstance(given, str) else list(given)
        return {**request, "color": [*several, *names]}

    def _gate(self, request: Request, wanted: Sequence[Sequence[Part]]) -> ColorGate | None:
        """The color words of a request. Weights make them, like a palette, part of a sum, and so
        does a request for nothing but "not red"."""
        if request["weights"] is not None:
            return None
        excluded = self._excluded_colors(request)
        has_others = any(replace_colors(parts, []) for parts in wanted)
        if not request["color"] and not (excluded and has_others):
            return None
        return ColorGate.of(request["color"] or [], excluded)

    def _excluded_colors(self, request: Request) -> list[str]:
        """The colors that results should not have: "not red" excludes red, and "not red shoes"
        does not."""
        unwanted = [
            [one for one in self._reader.mentions(text) if one.wanted is wanted]
            for name, wanted in (("text", False), ("negative_text", True))
            for text in _texts(request[name])  # type: ignore[literal-required]
        ]
        colors = [several for several in unwanted if all(one.is_color for one in several)]
        return [one.name for several in colors for one in several]

    def _gated(self, gate: ColorGate, wanted: Sequence[Sequence[Part]]) -> list[list[Part]]:
        """The targets beside color words, without colors of their own; or where there are none,
        one for each of a few shades."""
        rest = [replace_colors(parts, []) for parts in wanted]
        if any(rest):
            return rest
        return [self._reader.read_shades(shades, str(gate)) for shades in gate.representatives()]

    # --- targets ----------------------------------------------------------------------------

    @property
    def _reader(self) -> PartReader:
        return PartReader(self.manifest, self.models, self.loader)

    def _read_targets(
        self, request: Request, lone: LoneImage | None
    ) -> tuple[list[Part], list[Filter]]:
        """Reads pictures, ids and texts into parts; also returns a filter that excludes the ids."""
        reader = self._reader
        if lone is not None:
            return reader.read_stored(lone.id, lone.vectors), [Not(HasId((lone.id,)))]
        images, ids = plain_images(request["image"]), ids_of(request["id"])
        crop = request["crop"]
        if crop is not None and len(images) + len(ids) != 1:
            raise QueryError("A crop is of one picture: give it with one image or one id.")
        points = self._points(ids, payload=crop is not None)
        parts: list[Part] = []
        for id in ids:
            if id not in points:
                raise NotFound(missing_image(id))
            if crop is None:
                parts += reader.read_stored(id, points[id].vectors)
            else:
                parts += reader.read_image(record_of(points[id].payload)["uri"], crop)[0]
        for image in images:
            parts += reader.read_image(image, crop)[0]
        if request["vector"] is not None:
            parts += reader.read_vectors(request["vector"])
        for text in _texts(request["text"]):
            parts += reader.read_text(text, gated=True)
        if request["negative_text"] and not parts:
            raise QueryError(
                "There is nothing to take away from: say what to look for too, or use recommend "
                "with what you do not want."
            )
        for text in _texts(request["negative_text"]):
            parts += reader.read_text(text, wanted=False)
        return parts, [Not(HasId(tuple(ids)))] if ids else []

    def _first_round(
        self,
        lone: LoneImage,
        request: Request,
        weights: Mapping[str, float],
        filter: Filter | None,
        *,
        exact: bool,
    ) -> FirstRound | None:
        """The first answers to a search by one image alone, whose vectors come with them."""
        first = lone.first_round(self.manifest, list(weights), filter, request, exact=exact)
        if first is None:
            points = self._points([lone.id])
            if lone.id not in points:
                raise NotFound(missing_image(lone.id))
            lone.vectors.update(points[lone.id].vectors)  # some of those with a weight are missing
        return first

    def _read_examples(
        self, request: Request
    ) -> tuple[list[list[Part]], list[list[Part]], list[Filter]]:
        """Reads likes and dislikes into parts; also returns filters that exclude them all."""
        likes, unlikes = plain_images(request["like"]), plain_images(request["unlike"])
        if request["strategy"] == "best":  # which counts each by itself
            likes, unlikes = list(dict.fromkeys(likes)), list(dict.fromkeys(unlikes))
            if len(likes) + len(unlikes) > MOST_EXAMPLES:
                raise QueryError(
                    f"The strategy best compares with each of {len(likes) + len(unlikes):,} "
                    f"examples by itself: give at most {MOST_EXAMPLES}, or use average."
                )
        examples = [*likes, *unlikes]
        points = self._points([one for one in examples if isinstance(one, str)])
        read = [self._read_example(one, points, files=request["files"]) for one in examples]
        parts = [parts for parts, _ in read]
        hashes = tuple(sha256 for _, sha256 in read if sha256 is not None)
        excluded: list[Filter] = [Not(HasId(tuple(points)))] if points else []
        if hashes:
            excluded.append(Not(AnyOfValues(record.SHA256, hashes)))
        return parts[: len(likes)], parts[len(likes) :], excluded

    def _read_example(
        self, example: PlainImage, points: Mapping[str, Point], *, files: bool
    ) -> tuple[list[Part], str | None]:
        """Reads an example into parts; also returns the SHA-256 of a picture."""
        reader = self._reader
        if isinstance(example, str):
            if example in points:
                return reader.read_stored(example, points[example].vectors), None
            if example.startswith(TEXT):
                return reader.read_text(example.removeprefix(TEXT).strip()), None
            if not (files and (is_url(example) or os.path.isfile(example))):  # noqa: PTH113 -- Path raises where a name is too long
                raise NotFound(
                    f"{example!r:.200} is neither an image of this index nor a file; text is "
                    f'written "{TEXT}{example:.60}".'
                )
        parts, image = reader.read_image(example)
        return parts, image.sha256

    def _points(self, ids: Sequence[str], *, payload: bool = False) -> dict[str, Point]:
        """Retrieves those images that exist, by id, with the vectors of every aspect, and with the
        whole payload only if asked for."""
        if not ids:
            return {}
        names = list(self.manifest.aspects.values())
        return {
            point.id: point for point in self.engine.retrieve(ids, payload=payload, vectors=names)
        }

    def _combine(
        self, request: Request, parts: Sequence[Part], weights: Mapping[str, float]
    ) -> Blend:
        calibrator = self.calibrator if request["calibration"] == "spread" else None
        summed = request["strategy"] == "sum"
        return combine(parts, weights, calibrator, self.manifest.vectors, summed=summed)

    def _product(self, request: Request) -> Field | None:
        """The field that hits are collapsed by."""
        if not isinstance(request["collapse"], str):
            return None
        return product_field(request["collapse"], self.manifest.all_fields)

    def _order(self, request: Request) -> Order | None:
        """The order of the hits."""
        if request["after"] is not None:
            raise QueryError(
                "after continues a sorted list that has nothing to search by: page through hits "
                "with offset."
            )
        if request["sort"] is None:
            return None
        if request["offset"] + request["limit"] > SORTED:
            raise QueryError(
                f"A sorted search has the {SORTED} best hits: ask for them with offset and limit, "
                "or leave out what to search by to sort all images."
            )
        return Order.of(request["sort"], self.manifest.all_fields)

    # --- limits -----------------------------------------------------------------------------

    def _limits(
        self, request: Request, where: Filter | None, filter: Filter | None
    ) -> tuple[bool, int | None]:
        """Decides whether to search exactly; also returns an upper bound of the number of matching
        images, if an exact search or a long page needs one."""
        limited = isinstance(self.engine, ServedEngine) and not self.engine.allows_exact
        exact = request["exact"] or (not limited and (self._is_small() or self._few_pass(where)))
        if request["exact"] or request["offset"] + request["limit"] > _MANY:
            return exact, self.engine.count(filter)
        return exact, SMALL_INDEX if exact else None

    def _is_small(self) -> bool:
        """True if the index is small enough to search exactly every time. It may grow at any time,
        but once large it hardly ever shrinks so far."""
        if not self.is_large:
            self.is_large = self.engine.count(exact=False) > SMALL_INDEX
        return not self.is_large

    def _few_pass(self, where: Filter | None) -> bool:
        """True if few enough images pass a filter to search them exactly every time.

        The estimate is cheap, but takes conditions for independent and may be far too low: a low
        one is verified by counting.
        """
        if where is None or self.engine.count(where, exact=False) > FEW_MATCHES:
            return False
        return self.engine.count(where) <= FEW_MATCHES

    def _floor(self, blends: Sequence[Blend]) -> float | None:
        """The least distance of a relevant image above random ones; None for too few images."""
        names = {target.near.name for blend in blends for target in blend}
        vectors = {name: self.calibrator.sample(name) for name in names}
        count = min(map(len, vectors.values()))
        if count < LEAST:
            return None
        background = np.max([standing(blend, vectors) for blend in blends], axis=0)
        calibration = self.calibrator.calibration
        perfect = [
            math.fsum(contributions(blend, [target.perfect for target in blend]).values())
            if all(target.pictured for target in blend)
            else math.inf
            for blend in blends
        ]
        images = max(count, calibration.images if calibration else 0)
        return rerank.relevance_floor(background, images, perfect=max(perfect))


def _require_likes_alone(request: Request) -> None:
    others = request["image"] or request["id"] or request["vector"] is not None
    if others or request["text"] or request["negative_text"]:
        raise QueryError("The strategy best takes likes alone: give all of it as likes.")


def _texts(texts: str | Sequence[str] | None) -> list[str]:
    """One, several or none as a list."""
    return [] if texts is None else [texts] if isinstance(texts, str) else list(texts)
