"""The Index: one place to add images, search them, and look after them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Self, Unpack

from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.duplicates import cleanup, decisions
from lookalike.duplicates.candidates import StageProgress
from lookalike.duplicates.cleanup import Action
from lookalike.duplicates.file_moves import CleanupReport
from lookalike.duplicates.finder import DuplicateFinder
from lookalike.duplicates.groups import DuplicateGroup, DuplicateGroups
from lookalike.duplicates.keepers import KeeperChoice
from lookalike.duplicates.verdicts import Duplicate, Duplicates
from lookalike.engines import is_server
from lookalike.errors import LookalikeError, NotFound, QueryError
from lookalike.fields import Field, fields_of
from lookalike.filters import parse_where, parser
from lookalike.ingest import prune as pruning
from lookalike.ingest import run, schema
from lookalike.ingest.executor import Ingest
from lookalike.ingest.listing import ListedImage
from lookalike.ingest.lookup import CopyDetector
from lookalike.ingest.pipeline import Pipeline
from lookalike.ingest.report import IngestCounts, IngestReport
from lookalike.ingest.run import AddOptions
from lookalike.ingest.uploads import Upload
from lookalike.manifest import Manifest, ManifestStore
from lookalike.opening import OpenOptions, Parts, open_parts, reopening
from lookalike.options import documented
from lookalike.protocols import DescribesText
from lookalike.record import record_of
from lookalike.search.calibration import recalibrate
from lookalike.search.facets import facets
from lookalike.search.histogram import Histogram, histogram
from lookalike.search.request import RecommendOptions, SearchOptions, Where, read_request
from lookalike.search.searcher import Searcher
from lookalike.search.statistics import statistics
from lookalike.sources import open_sources
from lookalike.types import (
    Decision,
    Filter,
    Hits,
    Image,
    ImageInput,
    Point,
)
from lookalike.workers.loader import Loader


class Index:
    """A searchable index of images. Open it with `Index.open`; close it, or use `with`.

        with Index.open("shop.index") as index:
            index.add("photos/", metadata="catalog.csv")
            for hit in index.search(image="query.jpg", where="price < 100"):
                print(hit.id, hit.score)

    Methods raise `LookalikeError` or a subclass. Searching from several threads is safe; adding is
    for one thread at a time.
    """

    def __init__(self, parts: Parts, opener: Callable[..., Index] | None = None) -> None:
        self._parts = parts
        self._opener = opener
        self._engine = parts.engine
        self._models = parts.models
        self._decoder = parts.decoder
        self._cache = parts.cache
        self._loader = Loader(parts.decoder)
        self._searcher = Searcher(parts.engine, parts.manifest, parts.models, self._loader)
        self._manifests = ManifestStore(parts.engine, parts.manifest, self._searcher.refresh)
        self._destination = run.Destination(parts.engine, self._manifests, parts.cache)

    # --- opening and closing ----------------------------------------------------------------

    @classmethod
    @documented(OpenOptions)
    def open(cls, url: str | os.PathLike[str], **options: Unpack[OpenOptions]) -> Index:
        """Opens an index, or makes a new one.

        Args:
            url: a folder, or the address of a collection, http://host:6333/collection.
            {options}

        Raises:
            NotFound: there is no index and `create` is False.
            ModelError: the model cannot be loaded, or is not the index's own.
            IndexLocked, IndexDamaged, SchemaTooNew, DiskFull: as their names say.
        """
        address = os.fspath(url)
        parts = open_parts(address, options)
        opener = partial(cls.open, address, **reopening(options)) if is_server(address) else None
        return cls(parts, opener)

    @property
    def notice(self) -> str | None:
        """One line for the user about how the index was made; None if all went as asked."""
        return self._parts.notice

    def opener(self) -> Callable[..., Index] | None:
        """Returns a function that opens this index in another process, with the options of `open`
        to change; None for a folder, which belongs to one process."""
        return self._opener

    def close(self) -> None:
        """Releases the index. Closing twice is harmless."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- adding and changing ----------------------------------------------------------------

    @documented(AddOptions)
    def add(self, *sources: str | os.PathLike[str], **options: Unpack[AddOptions]) -> IngestReport:
        """Adds the images of sources, and updates those that have changed.

        Unchanged images are not read again, so repeated runs are fast. Ctrl-C stops a run; the
        report then counts what is stored, and the same call continues it.

        Args:
            sources: folders, files or globs.
            {options}

        Raises:
            InputError: the partition or a field's type is not valid, or an executor was to skip
                or link copies.
            SourceError: a source does not exist, or all of them are empty.
            MetadataError: the metadata cannot be used as it is; nothing was written.
            DiskFull: too little space; images that were added before stay.
        """
        request = run.AddRequest.of(options)
        if request.executor is None:
            self._decoder.start(self._models.without_weights)  # while the model loads
        opened = open_sources(sources)
        with self._ingesting(request) as ingest:
            return run.add(self._destination, opened, request, ingest, self.calibrate)

    def put(self, images: Sequence[Upload]) -> IngestReport:
        """Adds images that the caller has in memory, and replaces those with the same ids.

        The next search finds them. The search graph is not rebuilt; call `optimize` after many.

        Args:
            images: their bytes, ids and fields. A field that is new to the index takes its type
                from the first value.

        Raises:
            InputError: two images have the same id, or a value does not fit its field; nothing
                was written.
            DiskFull: too little space; images that were added before stay.
        """
        return run.put(self._destination, images, self.ingest)

    def ingest(
        self,
        images: Iterable[ListedImage],
        progress: Callable[[IngestCounts], None] = lambda counts: None,
        *,
        detector: CopyDetector | None = None,
    ) -> IngestReport:
        """Indexes images that are listed already: the part of `add` that an executor distributes.

        Args:
            images: the images with their metadata rows.
            progress: called after every batch with the counts so far.
            detector: detects copies among new images; None adds copies like other images.
        """
        side = THUMBNAIL_SIDE if self._cache.limit or detector else 0
        return Pipeline(
            self._engine,
            self._decoder,
            replace(self._models.describers(), thumbnail=side),
            limits=self._decoder.limits,
            threads=self._decoder.size + 1,  # one writes while the others wait for a decoder
            thumbnails=self._cache,
            progress=progress,
            detector=detector,
        ).run(images)

    def update(self, id: str, fields: Mapping[str, Any]) -> None:
        """Sets fields of one image; None removes a field.

        Raises:
            NotFound: no image has this id.
            InputError: the index has no such field, or a value does not fit its type.
        """
        self.get(id)
        self._engine.set_payload(id, schema.parse_update(fields, self._manifest.fields))

    def delete(self, ids: Sequence[str]) -> int:
        """Removes images from the index, never from disk; returns the number of those it had."""
        points = self._engine.retrieve(ids)
        pruning.remove(self._engine, points, self._cache)
        return len(points)

    def optimize(self) -> None:
        """Builds the search graph now: about a minute for 100,000 images, during which the process
        does nothing else. Without it, searches are correct but slower."""
        self._engine.optimize()

    def calibrate(self) -> None:
        """Samples the index again if it has grown so much that the last sample may be off."""
        recalibrate(self._engine, self._manifests)

    # --- searching --------------------------------------------------------------------------

    @documented(SearchOptions)
    def search(self, **options: Unpack[SearchOptions]) -> Hits:
        """Finds the images nearest to pictures, images of the index, text, or colors, best first.

        Args:
            {options}

        `image`, `id`, `text`, `negative_text` and `color` may be lists. A picture is a path, or
        the bytes of a file; a palette may be a mapping of shares by name.

        Raises:
            QueryError: nothing to search by, or something that the index does not have.
            FilterError: `where` does not parse, or does not fit the fields.
            ImageRejected: the image cannot be read.
            NotFound: no image has this id.
        """
        return self._searcher.search(read_request(options))

    @documented(RecommendOptions)
    def recommend(
        self,
        like: ImageInput | Sequence[ImageInput] = (),
        unlike: ImageInput | Sequence[ImageInput] = (),
        *,
        files: bool = True,
        **options: Unpack[RecommendOptions],
    ) -> Hits:
        """Finds images like some examples and unlike others; the examples are left out.

        Args:
            like: ids of the index, files or their bytes, or text as in "text:a red dress".
            unlike: the same. Without `like`, the images least like these come first.
            files: whether an example may name a file of this machine.
            {options}

        Raises:
            NotFound: an example is neither an id nor a file.
            QueryError, FilterError, ImageRejected: as in `search`.
        """
        request = read_request({"like": like, "unlike": unlike, "files": files, **options})
        return self._searcher.search(request)

    def search_many(self, queries: Sequence[Mapping[str, Any]]) -> list[Hits | LookalikeError]:
        """Runs many searches together: pictures are read in parallel, and all searches share as
        few requests to the engine as one takes.

        Args:
            queries: the keywords of `search` or `recommend` for each, `like` and `unlike` included,
                such as `{"id": "sku-17", "limit": 5}`.

        Returns:
            The hits of each query in their order, or the error of one that failed.
        """
        return self._searcher.search_many(queries)

    def facets(
        self, field: str, *, where: Where | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        """Counts the values of a field, most frequent first.

        Raises:
            QueryError: there is no such field, or it holds floats or dates, which have a
                `histogram` instead.
        """
        return facets(self._engine, self._field(field), self._filter(where), limit)

    def histogram(self, field: str, *, where: Where | None = None, bins: int = 10) -> Histogram:
        """Counts the images in each range of a field of numbers or dates.

        Args:
            field: its name.
            where: a filter; only images that pass count.
            bins: approximate number of ranges; their edges are round.

        Raises:
            QueryError: there is no such field, or it holds neither numbers nor dates.
        """
        return histogram(self._engine, self._field(field), self._filter(where), bins=bins)

    # --- duplicates -------------------------------------------------------------------------

    def duplicates(
        self,
        *,
        keep: KeeperChoice = "largest",
        where: Where | None = None,
        similar: bool = False,
        progress: StageProgress | None = None,
    ) -> DuplicateGroups:
        """Finds all groups of duplicates in the index.

        Args:
            keep: policy that chooses the image of a group to keep: "largest", "oldest", "best",
                "first", or a function of an image's payload whose greatest value is kept.
            where: a filter; only matching images are considered.
            similar: whether to list similar images that are not copies beside each keeper. They
                may be in several groups.
            progress: called with the name of a stage, the work done in it, and its total.

        Returns:
            An iterator that yields each group as soon as it is confirmed. Its `problems` say why
            originals could not be read, by address.

        Raises:
            InputError: no policy has this name.
            FilterError: `where` does not parse, or does not fit the fields.
        """
        return self._finder().groups(keep, self._filter(where), similar=similar, progress=progress)

    def duplicates_of(
        self,
        image: ImageInput | None = None,
        *,
        id: str | None = None,
        similar: bool = False,
        limit: int = 100,
    ) -> Duplicates:
        """Finds the duplicates of one image in the index.

        Args:
            image: a file, or its bytes.
            id: or an image of the index, which is not a duplicate of itself.
            similar: whether to add similar images that are not copies.
            limit: most duplicates to return.

        Returns:
            The duplicates, the strongest verdicts first. Their `problems` say why originals could
            not be read, by address.

        Raises:
            QueryError: neither an image nor an id, or both.
            ImageRejected: the image cannot be read.
            NotFound: no image has this id.
        """
        return self._finder().duplicates_of(image, id, similar=similar, limit=limit)

    def resolve_duplicates(
        self,
        groups: Iterable[DuplicateGroup],
        action: Action,
        *,
        move_to: Path | None = None,
        log: Path | None = None,
        dry_run: bool = True,
    ) -> CleanupReport:
        """Removes the copies in some groups, and leaves the keepers and similar images.

        Args:
            groups: from `duplicates`.
            action: "remove" removes the copies from the index; "move" also moves their files to a
                folder; "delete" also deletes their files, each only while its keeper exists.
            move_to: the folder for "move".
            log: log of moved and deleted files, for `lookalike undo`; by default `undo.jsonl` in
                `move_to`.
            dry_run: report only; change nothing.

        Raises:
            InputError: "move" without a folder, "delete" without a log, or the log is not writable.
        """
        return cleanup.resolve_duplicates(
            groups, action, self.delete, move_to=move_to, log=log, dry_run=dry_run
        )

    def difference(self, keeper: Duplicate, copy: Duplicate) -> bytes | None:
        """Shows the differences between two images of a group: a JPEG of the keeper in gray, red
        where the copy, laid over it, differs. None if the two cannot be aligned."""
        return self._finder().difference(keeper, copy)

    def decide(self, ids: Sequence[str], decision: Decision | None) -> None:
        """Stores a decision about images that look like copies: `duplicates` and `duplicates_of`
        no longer show them beside each other.

        Args:
            ids: two or more images.
            decision: that they are not duplicates, or that all of them are kept; None removes
                earlier decisions.

        Raises:
            NotFound: no image has one of these ids.
            InputError: fewer than two images, or too many different files.
        """
        decisions.decide(self._engine, ids, decision)

    # --- looking ----------------------------------------------------------------------------

    def get(self, id: str, *, vectors: bool = False) -> Point:
        """Returns an image: its payload, and its vectors by name if asked for.

        Raises:
            NotFound: no image has this id.
        """
        for point in self.get_many([id], vectors=vectors):
            return point
        raise NotFound(f"There is no image with the id {id!r} in this index.")

    def get_many(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Returns the images with these ids that the index has, in no particular order."""
        return self._engine.retrieve(ids, vectors=list(self._manifest.vectors) if vectors else ())

    def scroll(self, where: Where | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """Yields every matching image, in an order that is stable while nothing is written."""
        names = list(self._manifest.vectors) if vectors else ()
        for points in self._engine.scroll(self._filter(where), vectors=names):
            yield from points

    def count(self, where: Where | None = None) -> int:
        """Counts the matching images exactly."""
        return self._engine.count(self._filter(where))

    def __len__(self) -> int:
        return self.count()

    @property
    def fields(self) -> Mapping[str, Field]:
        """Fields that `where` and `facets` can name, by name."""
        return fields_of(self._manifest.fields)

    @property
    def aspects(self) -> Sequence[str]:
        """Aspects that a search can weigh."""
        return list(self._manifest.aspects)

    @property
    def is_calibrated(self) -> bool:
        """True once the index holds enough images for its weights to mean influence."""
        return self._manifest.calibration is not None

    @property
    def supports_text(self) -> bool:
        """True if the index's model can be searched by text. Loads the model."""
        return isinstance(self._models.descriptor(self._manifest.semantic.name), DescribesText)

    @property
    def thumbnails_problem(self) -> str | None:
        """A sentence on why thumbnails are not cached as they should be; None if they are."""
        return self._cache.problem

    def stats(self) -> dict[str, Any]:
        """Returns the number of images, bytes on disk and of thumbnails, the vectors, the fields
        with their numbers of values, the engine, and the schema."""
        return statistics(self._engine, self._manifest, thumbnails=self._cache.bytes_on_disk)

    def decode(self, image: ImageInput) -> Image:
        """Decodes any image as the index does: upright, its shorter side at least 320 pixels
        where it has them.

        Raises:
            ImageRejected: it cannot be read.
            InputError: there is no such file.
        """
        return self._loader.load(image, THUMBNAIL_SIDE)

    def thumbnail(self, id: str, side: int = 256) -> bytes:
        """Returns a JPEG of an image, its longer side at most `side` pixels, without metadata.

        Raises:
            NotFound: no image has this id.
            InputError: its file is gone, or can no longer be read.
        """
        image = record_of(self.get(id).payload)
        key = image["sha256"]
        cached = self._cache.get_many([key]).get(key) if side <= THUMBNAIL_SIDE else None
        return self._loader.thumbnail(cached, image["uri"], side)

    def preview(self, image: ImageInput, side: int = 256) -> bytes:
        """Returns a JPEG of any image, its longer side at most `side` pixels, without metadata.

        Raises:
            InputError: there is no such file, or it cannot be read.
        """
        return self._loader.preview(image, side)

    # --- inside -----------------------------------------------------------------------------

    @property
    def _manifest(self) -> Manifest:
        return self._manifests.current

    def _ingesting(self, request: run.AddRequest) -> AbstractContextManager[Ingest]:
        """The ingest of a run: that of an executor, or this process's own."""
        if request.executor is not None:
            return request.executor.start(self._opener)
        detector = self._finder().gate(request.copies)
        return nullcontext(partial(self.ingest, detector=detector))

    def _finder(self) -> DuplicateFinder:
        return DuplicateFinder(
            self._engine,
            self._manifest,
            self._models,
            self._decoder,
            self._loader,
            self._decoder,
            self._cache,
        )

    def _filter(self, where: Where | None) -> Filter | None:
        return parse_where(where, self.fields)

    def _field(self, name: str) -> Field:
        if name not in self.fields:
            raise QueryError(f"{parser.unknown_field(name, self.fields)}.")
        return self.fields[name]

    def _require(self, id: str, vectors: Sequence[str] = ()) -> Point:
        for point in self._engine.retrieve([id], vectors=vectors):
            return point
        raise NotFound(f"There is no image with the id {id!r} in this index.")
