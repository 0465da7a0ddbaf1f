"""The Index: one place to add images, search them, and look after them."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, Unpack

from lookalike import record
from lookalike.comparison import batch
from lookalike.comparison.evidence import THUMBNAIL_SIDE
from lookalike.descriptors.loader import HUB
from lookalike.duplicates import groups
from lookalike.duplicates.check import PHASH, Checker, Duplicate, Floors
from lookalike.duplicates.cleanup import Action, clean
from lookalike.duplicates.comparer import Comparer, Pictures
from lookalike.duplicates.decisions import decide
from lookalike.duplicates.file_moves import Report
from lookalike.duplicates.gate import Arrivals
from lookalike.duplicates.groups import Group
from lookalike.duplicates.keepers import Keep, policy_of
from lookalike.engines import is_server
from lookalike.engines.options import ServerOptions
from lookalike.errors import InputError, LookalikeError, NotFound, QueryError
from lookalike.fields import Field, fields_of
from lookalike.filters import parse_where, parser
from lookalike.imaging.thumbnails import decode_thumbnail, encode_thumbnail
from lookalike.ingest import prune as pruning
from lookalike.ingest import run, schema
from lookalike.ingest.describe import facts
from lookalike.ingest.executor import Executor
from lookalike.ingest.listing import ListedImage
from lookalike.ingest.lookup import CopyDetector
from lookalike.ingest.partition import Partition, check_partition
from lookalike.ingest.pipeline import Pipeline
from lookalike.ingest.report import IngestCounts, IngestProgress, IngestReport
from lookalike.ingest.uploads import Upload
from lookalike.manifest import Manifest, ManifestStore
from lookalike.opening import Parts, model_choice, open_parts
from lookalike.protocols import DescribesText
from lookalike.record import record_of
from lookalike.search.calibration import calibrate, is_due
from lookalike.search.histogram import Histogram, histogram
from lookalike.search.options import documented
from lookalike.search.request import RecommendOptions, SearchOptions, Where, read_request
from lookalike.search.searcher import Searcher
from lookalike.sources import open_sources, read_image
from lookalike.types import (
    Decision,
    DecodeLimits,
    FieldType,
    Filter,
    Hits,
    Image,
    ImageInput,
    Point,
    Vector,
)
from lookalike.workers.loader import Loader

_GIVEN = "the image that was given"
"""Stands for the address of an image that comes from outside the index."""


class Index:
    """Images that can be searched. Make one with `Index.open`, and close it, or use `with`.

        with Index.open("shop.index") as index:
            index.add("photos/", metadata="catalog.csv")
            for hit in index.search(image="query.jpg", where="price < 100"):
                print(hit.id, hit.score)

    Methods raise `LookalikeError` or one of its children. Searching from several threads is
    safe; adding is for one thread at a time.
    """

    def __init__(self, parts: Parts, opener: partial[Index] | None = None) -> None:
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

    @property
    def _manifest(self) -> Manifest:
        return self._manifests.current

    # --- opening and closing ----------------------------------------------------------------

    @classmethod
    def open(
        cls,
        url: str | os.PathLike[str],
        *,
        create: bool = True,
        model: str | None = None,
        model_dir: str | os.PathLike[str] | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        hub: str | None = HUB,
        limits: DecodeLimits | None = None,
        threads: int | None = None,
        server: ServerOptions | None = None,
        thumbnails: int | None = None,
        subprocess: bool = False,
    ) -> Index:
        """Opens an index, or makes a new one.

        Args:
            url: a folder, or the address of a collection, http://host:6333/collection.
            create: whether to make it where there is none.
            model: what serves `semantic` in a new index: "clip", "built-in", or any image
                model of FastEmbed's. By default CLIP if its weights are cached or can be
                downloaded, else the built-in. An index keeps its model for ever.
            model_dir: folder with the model's files, or with folders `vision` and `text`.
            cache_dir: where downloaded weights are kept; by default the user's cache folder.
            hub: the model hub that a download needs; None never downloads.
            limits: what the decoder refuses; see `DecodeLimits`.
            threads: how many images are decoded at the same time; by default one on each core.
            server: how a server is spoken to, and how a new collection is laid out there.
            thumbnails: bytes that they may take from now on; 0 keeps none. By default as it was
                said before, else 10 GB.
            subprocess: whether the engine of a folder runs in a child process, so that the search
                graph is built while searches and writes go on. A server does so anyway.

        Raises:
            NotFound: there is no index and `create` is False.
            ModelError: the model cannot be had, or is not the index's own.
            IndexLocked, IndexDamaged, SchemaTooNew, DiskFull: as their names say.
        """
        address = os.fspath(url)
        choice = model_choice(model, model_dir, cache_dir, hub)
        parts = open_parts(
            address,
            choice,
            create=create,
            limits=limits or DecodeLimits(),
            threads=threads,
            server=server,
            thumbnails=thumbnails,
            subprocess=subprocess,
        )
        opener = partial(
            cls.open,
            address,
            create=False,
            model_dir=choice.model_dir,
            cache_dir=choice.cache_dir,
            hub=hub,
            limits=limits,
            server=server,
        )
        return cls(parts, opener if is_server(address) else None)

    @property
    def notice(self) -> str | None:
        """One line for the user about how the index was made; None when all went as asked."""
        return self._parts.notice

    def opener(self) -> Callable[..., Index] | None:
        """A function that opens this index in another process, given the arguments of `open` to
        change; None for a folder, which belongs to one process."""
        return self._opener

    def close(self) -> None:
        """Releases the index. Closing twice is harmless."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- adding and changing ----------------------------------------------------------------

    def add(
        self,
        *sources: str | os.PathLike[str],
        metadata: str | os.PathLike[str] | None = None,
        id_field: str | None = None,
        fields: Mapping[str, FieldType | str] | None = None,
        prune: bool = False,
        partition: Partition | None = None,
        copies: Literal["keep", "skip", "link"] = "keep",
        progress: IngestProgress | None = None,
        executor: Executor | None = None,
        optimize: bool = True,
    ) -> IngestReport:
        """Adds the images of sources, and updates those that have changed.

        Unchanged images are not read again, so repeated runs are fast. Ctrl-C stops a run; the
        report then counts what is stored, and the same call continues it.

        Args:
            sources: folders, files or globs.
            metadata: a CSV, JSON Lines or Parquet file whose rows name images.
            id_field: the column with the ids; by default `id`.
            fields: types of metadata columns, such as `{"price": "float"}`; the others are
                inferred.
            prune: remove images that these sources no longer have.
            partition: (3, 16) takes the third of sixteen parts of the images and leaves the others
                alone, so that sixteen processes can fill an index on a server together.
            copies: what to do with a new image that is a copy of one in the index: "keep" adds it
                like any other, "skip" leaves it out, "link" adds it with the original's id in
                `image.copy_of`.
            progress: called after every batch with the counts so far, and the number of inputs
                once it is known; it may raise `ingest.report.Canceled` to stop the run.
            executor: runs the ingest elsewhere, such as `ray.RayExecutor` on a cluster. Its
                processes cannot compare the images that they add at the same moment, so it takes
                `copies="keep"` only.
            optimize: build the search graph at the end; see `optimize`. With a partition it is
                never built, as other processes may still be writing.

        Raises:
            InputError: the partition or a field's type is not valid, or an executor was to skip
                or link copies.
            SourceError: a source does not exist, or all of them are empty.
            MetadataError: the metadata cannot be used as it is; nothing was written.
            DiskFull: too little space; images that were added before stay.
        """
        started = time.monotonic()
        part = None if partition is None else check_partition(partition)
        if executor is None:
            self._decoder.start(self._models.without_weights)  # while the model loads
        elif copies != "keep":
            raise InputError(
                "An executor cannot detect copies among images that are added at the same moment: "
                'use copies="keep", and find copies afterwards with `lookalike duplicates`.'
            )
        request = run.AddRequest(
            sources=open_sources(sources),
            metadata=None if metadata is None else Path(metadata),
            id_field=id_field,
            fields=fields or {},
            partition=part,
            prune=prune,
            progress=progress,
            optimize=optimize,
        )
        local = partial(self.ingest, detector=self._gate(copies))
        with executor.start(self._opener) if executor else nullcontext(local) as ingest:
            return run.add(
                self._destination, request, ingest, calibrate=self.calibrate, started=started
            )

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
        """Sets fields of one image; None removes a field. Values are checked against its type.

        Raises:
            NotFound: no image has this id.
            InputError: the index has no such field, or a value does not fit its type.
        """
        self._require(id)
        self._engine.set_payload(id, schema.parse_update(fields, self._manifest.fields))

    def delete(self, ids: Sequence[str]) -> int:
        """Removes images from the index, never from disk; returns how many there were."""
        there = self._engine.retrieve(ids)
        pruning.remove(self._engine, there, self._cache)
        return len(there)

    def optimize(self) -> None:
        """Builds the search graph now. The process does nothing else meanwhile; a minute for
        100,000 images is usual. Searches are right without it, only slower."""
        self._engine.optimize()

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
        known = self._field(field)
        if known.type in (FieldType.FLOAT, FieldType.DATETIME):
            raise QueryError(
                f"{field} is a {known.type} and has ranges instead of values: ask for its "
                "histogram."
            )
        return self._engine.facet(known.path, self._filter(where), limit)

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
        keep: Keep = "largest",
        where: Where | None = None,
        similar: bool = False,
        problems: dict[str, str] | None = None,
        progress: groups.Progress | None = None,
    ) -> Iterator[Group]:
        """All copies in the index, in groups, each as soon as it is confirmed.

        Args:
            keep: which member of a group is kept: "largest", "oldest", "best", "first", or a
                function of an image's payload, whose greatest value wins.
            where: a filter; only images that pass are looked at.
            similar: whether to show what is similar and no copy beside each keeper; an image may
                then be in several groups.
            problems: takes why an original could not be read, by its address.
            progress: called as it goes, with what is being done, how much of it, and of how much.

        Raises:
            InputError: there is no such policy.
            FilterError: `where` does not parse, or does not fit the fields.
        """
        policy, filter = policy_of(keep), self._filter(where)
        checker = self._checker(problems)
        return groups.find(
            checker, policy, filter, similar=similar, progress=progress or (lambda *_: None)
        )

    def duplicates_of(
        self,
        image: ImageInput | None = None,
        *,
        id: str | None = None,
        similar: bool = False,
        limit: int = 100,
        problems: dict[str, str] | None = None,
    ) -> list[Duplicate]:
        """The copies of one image in the index, the surest first.

        Args:
            image: a file, or its bytes.
            id: or an image of the index, which is no match itself.
            similar: whether to add images that are similar, and no copies.
            limit: how many at most.
            problems: takes why an original could not be read, by its address.

        Raises:
            QueryError: neither an image nor an id, or both.
            ImageRejected: the image cannot be read.
            NotFound: no image has this id.
        """
        if (image is None) == (id is None):
            raise QueryError("Give an image or an id to find the copies of, one of the two.")
        if image is None:
            assert id is not None  # noqa: S101 -- for the type checker
            point = self._require(id, vectors=[self._manifest.semantic.name])
            return self._checker(problems).check(point, similar=similar, limit=limit)
        checker = self._checker(problems, given=(data := read_image(image)))
        point, thumbnail, seen = self._described(data)
        with ThreadPoolExecutor(1) as pool:  # the model runs while the hash is looked up
            meaning = pool.submit(self._meaning, point, seen)
            return checker.check(
                point, thumbnail, meaning=meaning.result, similar=similar, limit=limit
            )

    def resolve_duplicates(
        self,
        groups: Iterable[Group],
        action: Action,
        *,
        folder: Path | None = None,
        log: Path | None = None,
        dry_run: bool = True,
    ) -> Report:
        """Does away with the copies in some groups, and leaves the keepers and what is similar.

        Args:
            groups: of `duplicates`.
            action: "remove" takes the copies out of the index; "move" moves their files to a
                folder, too; "delete" deletes their files, each only while its keeper is there.
            folder: where "move" moves them.
            log: takes what was done, for `lookalike undo`; by default `undo.jsonl` in the folder.
            dry_run: only say what would be done.

        Raises:
            InputError: no folder to move to, no log for what is deleted, or it cannot be written.
        """
        return clean(groups, action, self.delete, folder=folder, log=log, dry_run=dry_run)

    def difference(self, keeper: Duplicate, copy: Duplicate) -> bytes | None:
        """What differs between two images of a group: a JPEG of the keeper in grey, with red where
        the copy, laid over it, is another. None where it cannot be told."""
        return self._checker().comparer.difference(keeper.payload, copy.payload)

    def decide(self, ids: Sequence[str], decision: Decision | None) -> None:
        """Remembers what was said of images that look like copies: from then on `duplicates` and
        `duplicates_of` do not show them beside each other.

        Args:
            ids: two or more images.
            decision: that they are no duplicates, or that all of them are kept; None forgets what
                was said of them.

        Raises:
            NotFound: no image has one of these ids.
            InputError: fewer than two, or more different ones than can be remembered.
        """
        decide(self._engine, [self._require(id) for id in ids], decision)

    @property
    def thumbnails_problem(self) -> str | None:
        """Why thumbnails are not kept as they should be, in a sentence; None mostly."""
        return self._cache.problem

    # --- looking ----------------------------------------------------------------------------

    def get(self, id: str, *, vectors: bool = False) -> Point:
        """One image: its payload, and its vectors by name if asked for.

        Raises:
            NotFound: no image has this id.
        """
        return self._require(id, vectors=list(self._manifest.vectors) if vectors else ())

    def get_many(self, ids: Sequence[str], *, vectors: bool = False) -> list[Point]:
        """Those of some images that are in the index, in no particular order."""
        names = list(self._manifest.vectors) if vectors else ()
        return self._engine.retrieve(ids, vectors=names)

    def count(self, where: Where | None = None) -> int:
        """How many images pass, exactly."""
        return self._engine.count(self._filter(where))

    def __len__(self) -> int:
        return self.count()

    @property
    def fields(self) -> Mapping[str, Field]:
        """What `where` and `facets` can name, by name."""
        return fields_of(self._manifest.fields)

    @property
    def aspects(self) -> Sequence[str]:
        """The aspects that a search can weigh."""
        return list(self._manifest.aspects)

    @property
    def is_calibrated(self) -> bool:
        """True once the index holds enough images for its weights to mean influence."""
        return self._manifest.calibration is not None

    def stats(self) -> dict[str, Any]:
        """What the index holds: images, bytes on disk and of thumbnails, vectors, fields, engine,
        schema."""
        info = self._engine.info()
        return {
            "images": info["points"],
            "bytes_on_disk": info["bytes_on_disk"],
            "indexed_vectors": info["indexed_vectors"],
            "vectors": {
                name: {"size": spec.size, "model": spec.model, "aspect": spec.aspect}
                for name, spec in self._manifest.vectors.items()
            },
            "fields": {
                name: {"type": str(type), "values": self._values(name, type)}
                for name, type in self._manifest.fields.items()
            },
            "engine": info["engine"],
            "schema": self._manifest.to_json()["schema"],
            "thumbnails": self._cache.bytes_on_disk,
        }

    @property
    def supports_text(self) -> bool:
        """Whether the index's model can be searched by words. Loads the model."""
        return isinstance(self._models.descriptor(self._manifest.semantic.name), DescribesText)

    def decode(self, image: ImageInput) -> Image:
        """Any image as the index sees it: decoded, upright, its shorter side from 320 pixels on
        where it has them.

        Raises:
            ImageRejected: it cannot be read.
            InputError: there is no such file.
        """
        return self._loader.load(image, THUMBNAIL_SIDE)

    def scroll(self, where: Where | None = None, *, vectors: bool = False) -> Iterator[Point]:
        """Every image that passes, in an order that does not change while nothing is written."""
        names = list(self._manifest.vectors) if vectors else ()
        for points in self._engine.scroll(self._filter(where), vectors=names):
            yield from points

    def thumbnail(self, id: str, side: int = 256) -> bytes:
        """A JPEG of an image, its longer side at most `side` pixels, without metadata.

        Raises:
            NotFound: no image has this id.
            InputError: its file is gone, or cannot be read any more.
        """
        own = record_of(self._require(id).payload)
        kept = self._cache.get_many([own["sha256"]]) if side <= THUMBNAIL_SIDE else {}
        pixels = decode_thumbnail(kept[own["sha256"]]) if kept else None
        return self.preview(own["uri"], side) if pixels is None else encode_thumbnail(pixels, side)

    def preview(self, image: ImageInput, side: int = 256) -> bytes:
        """A JPEG of any image, its longer side at most `side` pixels, without metadata.

        Raises:
            InputError: there is no such file, or it cannot be read.
        """
        return encode_thumbnail(self._loader.load(image, side).pixels, side)

    # --- inside -----------------------------------------------------------------------------

    def _gate(self, copies: Literal["keep", "skip", "link"]) -> CopyDetector | None:
        if copies == "keep":
            return None
        # Compared here: the decoders have the pictures to come, and each would wait for them.
        return Arrivals(self._checker(pictures=batch), self._cache, links=copies == "link")

    def _described(self, data: bytes) -> tuple[Point, bytes, Image]:
        """An image from outside as a point with the vectors that need no weights, its thumbnail,
        and its pixels."""
        names = [PHASH, self._manifest.semantic.name]
        described = self._decoder.describe(
            data,
            side=max(self._models.descriptor(name).side for name in names),
            names=[name for name in names if name in self._models.without_weights],
            thumbnail=THUMBNAIL_SIDE,
        )
        seen, found = described.image, described.descriptions
        own = {"uri": _GIVEN, **facts(seen), **found[PHASH].payload[0]}
        vectors = {name: one.vectors[0] for name, one in found.items()}
        return Point("", vectors, {record.KEY: own}), described.thumbnail, seen

    def _meaning(self, point: Point, image: Image) -> Vector:
        """The semantic vector of an image from outside."""
        name = self._manifest.semantic.name
        if name in point.vectors:
            return point.vectors[name]
        vector: Vector = self._models.descriptor(name).describe([image]).vectors[0]
        return vector

    def _checker(
        self,
        problems: dict[str, str] | None = None,
        *,
        given: bytes | None = None,
        pictures: Pictures | None = None,
    ) -> Checker:
        def original(uri: str, *, side: int) -> Image:
            image = given if given is not None and uri == _GIVEN else uri
            return self._loader.load(image, side)

        comparer = Comparer(
            original,
            self._cache,
            pictures or self._decoder,
            self._decoder.size,
            {} if problems is None else problems,
        )
        name, calibration = self._manifest.semantic.name, self._manifest.calibration
        floors = Floors.above(calibration.backgrounds[name]) if calibration else Floors()
        return Checker(self._engine, name, floors, comparer)

    def _filter(self, where: Where | None) -> Filter | None:
        return parse_where(where, self.fields)

    def _field(self, name: str) -> Field:
        if name not in self.fields:
            raise QueryError(f"{parser.unknown_field(name, self.fields)}.")
        return self.fields[name]

    def calibrate(self) -> None:
        """Samples the index anew where it has grown so much that the last sample may be off."""
        images, stored = len(self), self._manifests.read()
        if is_due(stored.calibration, images):
            found = calibrate(self._engine, list(stored.aspects.values()), images)
            self._manifests.update(lambda manifest: replace(manifest, calibration=found))
        else:
            self._manifests.update()

    def _require(self, id: str, vectors: Sequence[str] = ()) -> Point:
        for point in self._engine.retrieve([id], vectors=vectors):
            return point
        raise NotFound(f"There is no image with the id {id!r} in this index.")

    def _values(self, name: str, type: FieldType) -> int | None:
        """How many different values a field has, up to 1,000; None for numbers and dates."""
        if type in (FieldType.FLOAT, FieldType.DATETIME):
            return None
        return len(self._engine.facet(self.fields[name].path, limit=1000))
