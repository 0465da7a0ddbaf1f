"""The part of the facade that reads: images, fields, counts."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any, Self, TypeVar, Unpack

import numpy as np
from numpy.typing import NDArray

from lookalike.admin.copy import NamedEngine, Transfer, TransferProgress, backup, copy
from lookalike.admin.health import Health, Patient, examine
from lookalike.admin.integrity import Verification, verify
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.engines import ServerOptions, open_engine, share
from lookalike.errors import FilterError, QueryError
from lookalike.facade.inputs import backup_file
from lookalike.fields import Field
from lookalike.filters import parse_where
from lookalike.ingest import run
from lookalike.manifest import Manifest
from lookalike.opening import Parts
from lookalike.options import documented
from lookalike.output import notebook, tables
from lookalike.protocols import require_points
from lookalike.record import ImageRecord, record_of
from lookalike.search import embedding
from lookalike.search.calibration import is_due
from lookalike.search.recall import recall
from lookalike.search.request import Params, ScrollOptions, TableOptions, Where
from lookalike.search.searcher import Searcher
from lookalike.search.sorting import Order, sorted_points
from lookalike.search.statistics import statistics
from lookalike.search.vocabulary import words_of
from lookalike.search.weights import presets_of
from lookalike.system.inputs import Id, id_of, ids_of, plain_images
from lookalike.system.state import KeepsState, StateStore
from lookalike.types import Filter, Image, ImageInput, Point, Word
from lookalike.workers.loader import Loader

T = TypeVar("T")


class ReadableIndex:
    """An open index, to be read."""

    def __init__(self, parts: Parts, opener: Callable[..., Any] | None = None) -> None:
        self._parts = parts
        self._opener = opener
        self._engine = parts.engine
        self._models = parts.models
        self._decoder = parts.decoder
        self._cache = parts.cache
        self._loader = Loader(parts.decoder, parts.fetch)
        self._searcher = Searcher(parts.engine, parts.manifest, parts.models, self._loader)
        self._manifests = parts.manifests(self._take_over)
        self._searcher.reload = self.refresh
        self._destination = run.Destination(parts.engine, self._manifests, parts.cache)
        share(parts.engine, self._manifests.reload)
        notebook.show_thumbnails_of(self)

    @property
    def notice(self) -> str | None:
        """One line for the user about how the index was made; None if all went as asked."""
        return self._parts.notice

    @property
    def url(self) -> str:
        """The path of the index's folder, or its address on a server."""
        return self._parts.url

    def open_state(self) -> StateStore | None:
        """Opens the state of HTTP services, where it lives with the index; None for a folder.

        Raises:
            AccessDenied: the server's key does not permit it.
        """
        return self._engine.open_state() if isinstance(self._engine, KeepsState) else None

    def refresh(self) -> None:
        """Takes over the fields, presets, models and calibration that other processes have
        changed. An index does so by itself before it adds images, and where a name is unknown."""
        self._manifests.reload()

    def up_to_date(self, work: Callable[[], T]) -> T:
        """Does work that names fields, and once more if a name is unknown that another process has
        made meanwhile."""
        known = self._manifest
        try:
            return work()
        except (FilterError, QueryError):
            self.refresh()
            if self._manifest is known:
                raise
        return work()

    def close(self) -> None:
        """Releases the index. Closing twice is harmless."""
        self._parts.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    # --- images -----------------------------------------------------------------------------

    def get(self, id: Id, *, vectors: bool = False) -> Point:
        """Returns an image: its payload, and its vectors by name if asked for.

        Raises:
            NotFound: no image has this id.
        """
        names = list(self._manifest.vectors) if vectors else ()
        (point,) = require_points(self._engine, [id_of(id)], vectors=names)
        return point

    def get_many(self, ids: Id | Iterable[Id], *, vectors: bool = False) -> list[Point]:
        """Returns the images with these ids that the index has, in no particular order."""
        names = list(self._manifest.vectors) if vectors else ()
        return self._engine.retrieve(ids_of(ids), vectors=names)

    @documented(ScrollOptions)
    def scroll(
        self, where: Where | None = None, **options: Unpack[ScrollOptions]
    ) -> Iterator[Point]:
        """Yields every matching image, by `sort` or in an order that has no meaning but stays.

        Args:
            where: a filter.
            {options}
        """
        filter, after = self._filter(where, options.get("params")), options.get("after")
        names = list(self._manifest.vectors) if options.get("vectors") else ()
        last, sort = None if after is None else id_of(after), options.get("sort")
        if sort is not None:
            order = self.up_to_date(lambda: Order.of(sort, self.fields))
            yield from sorted_points(self._engine, order, filter, vectors=names, after=last)
            return
        for points in self._engine.scroll(filter, vectors=names, after=last):
            yield from points

    def count(self, where: Where | None = None, params: Params | None = None) -> int:
        """Counts the matching images exactly."""
        return self._engine.count(self._filter(where, params))

    @documented(TableOptions)
    def to_arrow(self, where: Where | None = None, **options: Unpack[TableOptions]) -> Any:
        """Returns the matching images as an Arrow table: a column `id`, one `uri`, and one of each
        field; also for `to_pandas()`, Polars and DuckDB.

        Args:
            where: a filter.
            {options}

        Raises:
            InputError: pyarrow is not installed.
        """
        return tables.arrow_table(*self._table(where, options))

    @documented(TableOptions)
    def export(
        self,
        file: str | os.PathLike[str],
        where: Where | None = None,
        *,
        replace: bool = False,
        **options: Unpack[TableOptions],
    ) -> int:
        """Writes the matching images to a table; returns their number.

        Args:
            file: its name ends in `.csv`, `.jsonl` or `.parquet`.
            where: a filter.
            replace: whether the file may exist.
            {options}

        Raises:
            InputError: the file exists or cannot be written, or the format holds no vectors.
        """
        name, vectors = os.fspath(file), bool(options.get("vectors"))
        tables.check_target(name, with_vectors=vectors, replace=replace)
        return tables.write_table(*self._table(where, options), name)

    def _table(
        self, where: Where | None, options: TableOptions
    ) -> tuple[Iterator[Point], tables.Columns]:
        vectors = bool(options.get("vectors"))
        columns = tables.columns_of(self.fields, self._manifest.vectors, with_vectors=vectors)
        return self.scroll(where, **options), columns

    def embed(
        self,
        images: ImageInput | Iterable[ImageInput] = (),
        *,
        texts: str | Iterable[str] = (),
        aspect: str = "semantic",
    ) -> NDArray[np.float32]:
        """Returns the vectors of images, or of texts, as an array with a row for each.

        Args:
            images: pictures in any form that `search` takes.
            texts: texts in place of images, if the index's model supports them.
            aspect: the aspect of the vectors.

        Raises:
            QueryError: images and texts at once, no such aspect, or no support for text.
            ImageRejected: an image cannot be read.
        """
        words = [texts] if isinstance(texts, str) else list(texts)
        pictures = plain_images(images)
        if words and pictures:
            raise QueryError("Embed images or texts: their vectors are of one call each.")
        if words:
            return embedding.embed_texts(words, self._manifest, self._models, aspect)
        own = self._manifest, self._models, self._loader
        return embedding.embed_images(pictures, *own, aspect)

    def cluster(
        self,
        k: int | None = None,
        *,
        aspect: str = "semantic",
        where: Where | None = None,
        min_size: int = 5,
    ) -> Mapping[str, int]:
        """Groups similar images: the number of the group by id; -1 for images in none.

        Args:
            k: number of groups, by k-means; None finds groups of any number, by HDBSCAN.
            aspect: the aspect that counts.
            where: a filter.
            min_size: least images of a group without `k`.

        Raises:
            QueryError: there is no such aspect.
            InputError: scikit-learn is not installed, or there are fewer images than groups.
        """
        spec = self._manifest.vectors[embedding.vector_of(self._manifest, aspect)]
        return embedding.cluster(self.scroll(where, vectors=True), spec, k, min_size)

    def __getitem__(self, id: Id) -> Point:
        return self.get(id)

    def __contains__(self, id: Id) -> bool:
        return bool(self.get_many(id))

    def __iter__(self) -> Iterator[Point]:
        return self.scroll()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self._manifest.semantic.model}>"

    def __len__(self) -> int:
        return self.count()

    @property
    def fields(self) -> Mapping[str, Field]:
        """Fields that `where` and `facets` can name, by name."""
        return self._manifest.all_fields

    @property
    def aspects(self) -> Sequence[str]:
        """Aspects that a search can weigh."""
        return list(self._manifest.aspects)

    @property
    def presets(self) -> Mapping[str, Mapping[str, float]]:
        """Weights by name that a search can take: the standard ones, and those of the index."""
        return presets_of(self._manifest)

    @property
    def is_restored(self) -> bool:
        """True if the index came out of a backup file: its images may name any file."""
        return self._manifest.restored

    @property
    def is_calibrated(self) -> bool:
        """True once the index holds enough images for its weights to mean influence."""
        return self._manifest.calibration is not None

    @property
    def supports_text(self) -> bool:
        """True if the index can be searched by text. Loads the model."""
        try:
            return bool(embedding.text_describers(self._manifest, self._models))
        except QueryError:
            return False

    def words(self, prefix: str = "") -> list[Word]:
        """Returns the words with this beginning that the index can be searched by, with their
        precision; none if its model takes any text, or none. Loads the model."""
        return words_of(self._models.descriptor(self._manifest.semantic.name), prefix)

    @property
    def thumbnails_problem(self) -> str | None:
        """A sentence on why thumbnails are not cached as they should be; None if they are."""
        return self._cache.problem

    def stats(self) -> dict[str, Any]:
        """Returns counts, bytes on disk, vectors, fields with their values, engine, and problems:
        descriptions of damage."""
        self.refresh()
        return statistics(self._engine, self._manifest, thumbnails=self._cache.bytes_on_disk)

    def verify(self, *, full: bool = True) -> Verification:
        """Looks for damage; `full` reads every image, vector and thumbnail, and otherwise it takes
        milliseconds."""
        self.refresh()
        return verify(self._engine, self._manifest, self._cache, full=full)

    def doctor(self, probes: int = 50) -> Health:
        """Examines the index within seconds: what is well, what could be better, what is wrong, and
        what to do about it. Loads the models.

        Args:
            probes: images to search by for the recall; 0 measures none.
        """
        self.refresh()
        manifest = self._manifest
        measured = {
            name: recall(self._engine, manifest.vectors[name], probes)
            for name in (manifest.aspects.values() if probes else ())
        }
        recalls = {name: one for name, one in measured.items() if one is not None}
        due = is_due(manifest.calibration, self._engine.count())
        patient = Patient(
            self._engine,
            manifest,
            self._cache,
            self._models,
            {name: (one.mean, one.low, one.high) for name, one in recalls.items()},
            due,
        )
        return examine(patient)

    def backup(
        self,
        file: str | os.PathLike[str],
        *,
        endpoint: str | None = None,
        anonymous: bool = False,
        progress: TransferProgress | None = None,
    ) -> Transfer:
        """Writes the whole index into one file, from which `lookalike restore` makes it again.

        Args:
            file: a path, or an address such as s3://bucket/shop.backup. An older backup there is
                replaced once the new one is complete.
            endpoint: URL of an object store, in place of the cloud's own.
            anonymous: whether to write to a public bucket without credentials.
            progress: called after every batch with the number of images done and their total.

        Raises:
            InputError: the file cannot be written, or exists and is not a backup.
            DiskFull: its disk has no room.
        """
        to = backup_file(file, endpoint, anonymous=anonymous)
        return backup(self._named_engine, to, progress=progress)

    def copy(
        self,
        url: str | os.PathLike[str],
        *,
        server: ServerOptions | None = None,
        progress: TransferProgress | None = None,
    ) -> Transfer:
        """Copies the whole index, and compares the copy. If it is interrupted, call it again: it
        continues where it stopped.

        Args:
            url: a folder, or the address of a collection.
            server: connection to a server, and layout of the new collection there.
            progress: called after every batch with the number of images done and their total.

        Raises:
            InputError: there is an index at the address, or an unfinished copy of another one.
            EngineError: the copy differs from this index; it stays unfinished.
        """
        address = os.fspath(url)
        with closing(open_engine(address, server)) as engine:
            target = NamedEngine(address, engine)
            return copy(self._named_engine, target, progress=progress)

    def decode(self, image: ImageInput) -> Image:
        """Decodes any image as the index does: upright, its shorter side 320 pixels or more. Raises
        InputError if there is no such file, or ImageRejected."""
        return self._loader.load(image, THUMBNAIL_SIDE)

    def thumbnail(self, id: Id, side: int = 256, *, original: bool = True) -> bytes:
        """Returns a JPEG of an image, its longer side at most `side` pixels, without metadata.

        Args:
            id: of the image.
            side: pixels.
            original: whether its file may be read, where no thumbnail is kept.

        Raises:
            NotFound: no image has this id, or no thumbnail is kept and its file must not be read.
            InputError: its file is gone, or can no longer be read.
        """
        return self._loader.thumbnail(record_of(self.get(id).payload), self._cache, side, original)

    def thumbnail_of(self, record: ImageRecord, side: int = 256) -> bytes:
        """Returns a JPEG of an image by its record, `payload["image"]`; as `thumbnail`."""
        return self._loader.thumbnail(record, self._cache, side)

    def preview(self, image: ImageInput, side: int = 256) -> bytes:
        """Returns a JPEG of any image, its longer side at most `side` pixels, without metadata.

        Raises:
            InputError: there is no such file, or it cannot be read.
        """
        return self._loader.preview(image, side)

    # --- inside -----------------------------------------------------------------------------

    def _take_over(self, manifest: Manifest) -> None:
        """Goes on with a changed manifest."""
        self._parts.models.refresh(manifest)
        self._searcher.refresh(manifest)

    @property
    def _named_engine(self) -> NamedEngine:
        return NamedEngine(self._parts.url, self._engine)

    @property
    def _manifest(self) -> Manifest:
        return self._manifests.current

    def _filter(self, where: Where | None = None, params: Params | None = None) -> Filter | None:
        return self.up_to_date(lambda: parse_where(where, self.fields, params, engine=self._engine))
