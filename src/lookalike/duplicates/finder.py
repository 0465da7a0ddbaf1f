"""Entry points of the search for duplicates: a whole index, one image, or images during ingest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from lookalike import record
from lookalike.cache.store import Cache
from lookalike.comparison import batch
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.duplicates.bulk.check import (
    LEAST_MEMORY,
    OTHER_MEMORY,
    PartReport,
    Workplace,
    compare_part,
)
from lookalike.duplicates.bulk.steps import Step
from lookalike.duplicates.check import PHASH, DuplicateSearch, SimilarityThresholds
from lookalike.duplicates.comparer import Comparer, PairComparer
from lookalike.duplicates.gate import DuplicateGate
from lookalike.duplicates.groups import DuplicateGroup, DuplicateGroups, find_groups
from lookalike.duplicates.keepers import policy_of, protecting
from lookalike.duplicates.options import DuplicateOptions, GroupOptions, PartOptions
from lookalike.duplicates.originals import OpenWeb, Originals
from lookalike.duplicates.protection import protection
from lookalike.duplicates.verdicts import Duplicate, Duplicates, Grade, Verdict, verdicts_of
from lookalike.errors import ImageRejected, InputError, QueryError
from lookalike.ingest.describe import facts
from lookalike.ingest.partition import check_partition
from lookalike.manifest import Manifest
from lookalike.options import with_defaults
from lookalike.protocols import Descriptors, Engine, ImageDecoder, ImageLoader, require_points
from lookalike.record import ImageRecord
from lookalike.system.inputs import id_of
from lookalike.types import AnyOfValues, Described, Filter, Image, ImageInput, Point, Vector

QUERY_URI = "the query image"
"""Stands in for the address of an image that is not in the index."""


@dataclass(frozen=True, slots=True)
class DuplicateFinder:
    """Finds duplicates in one index.

    Attributes:
        engine, manifest: of the index.
        descriptors: describe an image that is not in the index.
        decoder: decodes it.
        loader: reads it, and the originals of indexed images.
        comparer: compares pictures.
        cache: thumbnails and sketches.
        open_web: opens a reader of originals on the web, and on hosts of a private network.
        opener: opens the index in another process; None for a folder.
    """

    engine: Engine
    manifest: Manifest
    descriptors: Descriptors
    decoder: ImageDecoder
    loader: ImageLoader
    comparer: PairComparer
    cache: Cache
    open_web: OpenWeb
    opener: Callable[..., Any] | None = None

    def groups(self, options: GroupOptions, where: Filter | None) -> DuplicateGroups:
        """The groups of the whole index; see `Index.duplicates`."""
        chosen = with_defaults(GroupOptions, options)
        is_protected, originals = protection(chosen["protect"]), self._originals(chosen)
        search = self._search(originals)
        groups = find_groups(
            search,
            protecting(policy_of(chosen["keep"]), is_protected),
            where,
            self._workplace(chosen),
            similar=chosen["similar"],
            verdicts=verdicts_of(chosen["verdicts"]),
            is_protected=is_protected,
            progress=chosen["progress"] or (lambda stage, done, total: None),
        )
        return DuplicateGroups(_closing(groups, originals), search.comparer.problems)

    def compare_part(self, options: PartOptions, where: Filter | None) -> PartReport:
        """Compares one part of the pairs; see `Index.compare_duplicates`."""
        chosen = with_defaults(PartOptions, options)
        with closing(self._originals(chosen)) as originals:
            return compare_part(
                self._search(originals),
                where,
                self._workplace(chosen),
                check_partition(chosen["partition"]),
                chosen["progress"] or (lambda stage, done, total: None),
            )

    def take_step(self, step: Step) -> Any:
        """Takes one step of a check; see `Index.take_duplicate_step`."""
        return step.take(self._search(), lambda done: None)

    def _workplace(self, chosen: Mapping[str, Any]) -> Workplace:
        """The place for a check of the whole index.

        Raises:
            InputError: the memory is too little.
        """
        memory, folder = chosen["memory"], chosen["work"]
        if memory < LEAST_MEMORY:
            raise InputError(
                f"The memory must be at least {LEAST_MEMORY // 10**6} MB (got {memory:,} bytes)."
            )
        default = self.cache.path.with_suffix(".duplicates")
        place = default if folder is None else Path(folder)
        return Workplace(place, memory - OTHER_MEMORY, chosen["executor"], self.opener)

    def duplicates_of(self, image: ImageInput | None, options: DuplicateOptions) -> Duplicates:
        """The duplicates of one image; see `Index.duplicates_of`."""
        chosen = with_defaults(DuplicateOptions, options)
        id = chosen.pop("id")
        if (image is None) == (id is None):
            raise QueryError("Give either an image or an id to find duplicates of.")
        with closing(self._originals(chosen)) as originals:
            del chosen["fetch"], chosen["private"]
            if image is not None:
                return self._duplicates_of_input(image, originals, **chosen)
            vectors = [self.manifest.semantic.name]
            (point,) = require_points(self.engine, [id_of(id)], vectors=vectors)
            return _result(self._search(originals), point, **chosen)

    def difference(self, keeper: Duplicate, copy: Duplicate) -> bytes | None:
        """A picture of the differences of two images; see `Index.difference`."""
        return self._search().comparer.difference(keeper.payload, copy.payload)

    def is_indexed(self, uri: str) -> bool:
        """True if the index has an image at this address."""
        return self.engine.count(AnyOfValues(record.URI, (uri,))) > 0

    @contextmanager
    def gate(
        self, copies: Literal["keep", "skip", "link"], *, fetch: bool, private: Sequence[str]
    ) -> Iterator[DuplicateGate | None]:
        """The gate for new images; None if all are kept.

        Args:
            copies: what to do with copies.
            fetch, private: see `DuplicateOptions`.

        Raises:
            InputError: a private host is not valid.
        """
        if copies == "keep":
            yield None
            return
        with closing(self._originals({"fetch": fetch, "private": private})) as originals:
            # Compared in this process: the decoders are busy with the images to come, and each
            # would have to wait for them.
            search = self._search(originals, comparer=batch)
            yield DuplicateGate(search, self.cache, links=copies == "link")

    def _duplicates_of_input(
        self, image: ImageInput, originals: Originals, **options: Any
    ) -> Duplicates:
        data = originals.file(image)
        search = self._search(originals, query=data)
        described = self._described(data)
        point = self._point(described)
        with ThreadPoolExecutor(1) as pool:  # the model runs while the hash is looked up
            vector = pool.submit(self._semantic_vector, point, described.image)
            return _result(
                search,
                point,
                thumbnail=described.thumbnail,
                semantic_vector=vector.result,
                **options,
            )

    def _described(self, data: bytes) -> Described:
        """An image that is not in the index, described by what needs no model weights."""
        names = [PHASH, self.manifest.semantic.name]
        (described,) = self.decoder.describe_many(
            [data],
            side=max(self.descriptors.descriptor(name).side for name in names),
            names=[name for name in names if name in self.descriptors.without_weights],
            thumbnail=THUMBNAIL_SIDE,
        )
        if isinstance(described, ImageRejected):
            raise described
        return described

    def _point(self, described: Described) -> Point:
        descriptions = described.descriptions
        own = {"uri": QUERY_URI, **facts(described.image), **descriptions[PHASH].payload[0]}
        vectors = {name: description.vectors[0] for name, description in descriptions.items()}
        return Point("", vectors, {record.KEY: own})

    def _semantic_vector(self, point: Point, image: Image) -> Vector:
        name = self.manifest.semantic.name
        if name in point.vectors:
            return point.vectors[name]
        vector: Vector = self.descriptors.descriptor(name).describe([image]).vectors[0]
        return vector

    def _search(
        self,
        originals: Originals | None = None,
        *,
        query: bytes | None = None,
        comparer: PairComparer | None = None,
    ) -> DuplicateSearch:
        """A new search.

        Args:
            originals: reads those of the index; by default without fetching.
            query: the file at `QUERY_URI`.
            comparer: compares pictures in place of the finder's.
        """

        stored = originals or Originals(self.loader)

        def original(own: ImageRecord) -> bytes:
            if query is not None and own["uri"] == QUERY_URI:
                return query
            return stored.read(own)

        def read_original(own: ImageRecord, *, side: int) -> Image:
            return self.loader.load(original(own), side)

        def read_thumbnail(own: ImageRecord) -> bytes:
            return self.loader.thumbnail_to_store(original(own))

        def content_digest(own: ImageRecord) -> str:
            return self.loader.content_digest(original(own))

        name, calibration = self.manifest.semantic.name, self.manifest.calibration
        thresholds = (
            SimilarityThresholds.above(calibration.backgrounds[name])
            if calibration
            else SimilarityThresholds()
        )
        pairs = Comparer(
            read_original,
            read_thumbnail,
            content_digest,
            self.cache,
            comparer or self.comparer,
            self.loader.size,
        )
        return DuplicateSearch(self.engine, name, thresholds, pairs)

    def _originals(self, chosen: Mapping[str, Any]) -> Originals:
        """The originals, on the web only if they are to be fetched.

        Raises:
            InputError: a private host is not valid, or other processes are to compare.
        """
        if not chosen["fetch"]:
            return Originals(self.loader)
        if chosen.get("executor") is not None:
            raise InputError(
                "Originals on the web are fetched by this process alone: leave out either the "
                "fetching or the cluster."
            )
        return Originals(self.loader, self.open_web(chosen["private"]))


def _closing(groups: Iterator[DuplicateGroup], originals: Originals) -> Iterator[DuplicateGroup]:
    with closing(originals):
        yield from groups


def _result(
    search: DuplicateSearch, point: Point, *, holds_more: bool, **options: Any
) -> Duplicates:
    """The duplicates of an image; see `DuplicateSearch.check` for the options."""
    duplicates = search.check(point, **options)
    if holds_more:
        image = Duplicate.of(point, Grade(Verdict.IDENTICAL, {}))
        holdings = search.comparer.holdings()
        duplicates = [
            replace(duplicate, holds_more=holdings.compare(image, duplicate).second)
            for duplicate in duplicates
        ]
    return Duplicates(tuple(duplicates), search.comparer.problems)
