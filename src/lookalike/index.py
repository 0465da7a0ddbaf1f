"""The Index: one place to add images, search them, and look after them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Unpack

from lookalike.duplicates import cleanup
from lookalike.duplicates.cleanup import Action
from lookalike.duplicates.file_moves import CleanupReport
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.options import CleanupOptions
from lookalike.engines import is_server
from lookalike.errors import LookalikeError, QueryError
from lookalike.facade import inputs
from lookalike.facade.migration import IndexWithMigration
from lookalike.filters.parser import require_field
from lookalike.ingest import prune as pruning
from lookalike.ingest import run, schema, updates
from lookalike.ingest.listing import ListedImage
from lookalike.ingest.lookup import CopyDetector
from lookalike.ingest.options import AddOptions, PutOptions
from lookalike.ingest.report import IngestCounts, IngestReport
from lookalike.ingest.run import build_pipeline
from lookalike.ingest.updates import UpdateReport
from lookalike.opening import OpenOptions, open_parts, reopening
from lookalike.options import documented
from lookalike.search.calibration import recalibrate
from lookalike.search.evaluation import Evaluation, EvaluationOptions, evaluate
from lookalike.search.facets import facets
from lookalike.search.histogram import Histogram, histogram
from lookalike.search.hits import Hits
from lookalike.search.request import (
    Example,
    FilterOptions,
    Params,
    RecommendOptions,
    SearchOptions,
    Where,
)
from lookalike.search.weights import check_preset_name, with_preset
from lookalike.sources import SourceInput, open_file
from lookalike.sources.bucket import open_bucket
from lookalike.system.inputs import Id, ids_of


class Index(IndexWithMigration):
    """A searchable index of images. Open it with `Index.open`; close it, or use `with`.

        with Index.open("shop.index") as index:
            index.add("photos/", metadata="catalog.csv")
            for hit in index.search(image="query.jpg", where="price < 100"):
                print(hit.id, hit.score)

    Methods raise `LookalikeError` or a subclass. Searching from several threads is safe; adding is
    for one thread at a time.
    """

    # --- opening and closing ----------------------------------------------------------------

    @classmethod
    @documented(OpenOptions)
    def open(cls, url: str | os.PathLike[str], **options: Unpack[OpenOptions]) -> Index:
        """Opens an index, or makes a new one.

        Args:
            url: a folder; the address of a collection, http://host:6333/collection; or ":memory:"
                for a new index in a temporary folder that goes with this process, or on `close`.
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

    def opener(self) -> Callable[..., Index] | None:
        """Returns a function that opens this index in another process; None for a folder."""
        return self._opener

    # --- adding and changing ----------------------------------------------------------------

    @documented(AddOptions)
    def add(self, *sources: SourceInput, **options: Unpack[AddOptions]) -> IngestReport:
        """Adds the images of sources, and updates those that have changed.

        Unchanged images are not read again, so repeated runs are fast. Ctrl-C stops a run; the
        report then counts what is stored, and the same call continues it.

        Args:
            sources: folders, files or globs; or any iterable of them, such as a list of files; or
                one catalog feed, a file or an address, with `fetch`.
            {options}

        Raises:
            InputError: the partition or a field's type is not valid, or an executor was to skip
                or link copies.
            SourceError: a source does not exist, or all of them are empty.
            MetadataError: the metadata cannot be used as it is; nothing was written.
            DiskFull: too little space; images that were added before stay.
        """
        request = run.AddRequest.of(options)
        self.refresh()
        if request.executor is None:
            self._decoder.start(self._models.without_weights)  # while the model loads
        gate = self._finder().gate(request.copies, fetch=request.fetch, private=request.private)
        with (
            gate as detector,
            inputs.opened(sources, request, self._decoder.limits) as (request, files, web),
            request.ingest(partial(self.ingest, detector=detector), self._opener) as ingest,
        ):
            return run.add(self._destination, files, request, ingest, self.calibrate, web)

    @documented(PutOptions)
    def put(self, images: Any, **options: Unpack[PutOptions]) -> IngestReport:
        """Adds images that the caller has in memory, and replaces those with the same ids.

        The next search finds them. The search graph is not rebuilt; call `optimize` after many.

        Args:
            images: uploads, pictures, the rows of a table (a data frame of pandas or Polars, an
                Arrow table, mappings), a data set of Hugging Face or torchvision, or the path of a
                Parquet or JSON Lines file with rows. Columns such as `vector.semantic` hold vectors
                made elsewhere. A field that is new to the index takes its type from the first
                value. An image that equals another before it is reported as its copy.
            {options}

        Raises:
            InputError: two different images have the same id, or a value does not fit its field.
                Nothing of a list of uploads was written, nor of the batch of a table.
            MetadataError: a file cannot be read.
            DiskFull: too little space; images that were added before stay.
        """
        return run.put(self._destination, images, options, open_file, self.ingest)

    def learn_fields(self, records: Sequence[Mapping[str, Any]], pause: schema.Pause) -> None:
        """Makes the fields in some records that are new to the index, one by one, as `put` and
        `update` would at once.

        Args:
            records: values by field name.
            pause: called before each new field; it may let other writers go first.

        Raises:
            InputError: a value does not fit its field, or there are too many fields.
        """
        schema.learn_fields(self._engine, self._manifests, records, pause)

    def ingest(
        self,
        images: Iterable[ListedImage],
        progress: Callable[[IngestCounts], None] = lambda counts: None,
        *,
        detector: CopyDetector | None = None,
    ) -> IngestReport:
        """Indexes listed images with their metadata rows: the part of `add` that an executor
        distributes. Calls `progress` after every batch; without a detector, adds all copies."""
        pipeline = build_pipeline(
            self._destination, self._decoder, self._models.describers(), progress, detector
        )
        return pipeline.run(images)

    def update(self, id: Id, fields: Mapping[str, Any]) -> None:
        """Sets fields of one image; None clears a field, and a new one takes its value's type.

        Raises:
            NotFound: no image has this id.
            InputError: a field's name is reserved, or a value does not fit its type.
        """
        point = self.get(id)
        schema.set_fields(self._engine, self._manifests, point.id, fields)

    def update_many(
        self,
        changes: Mapping[Id, Mapping[str, Any]] | Iterable[tuple[Id, Mapping[str, Any]]],
        *,
        dry_run: bool = False,
    ) -> UpdateReport:
        """Sets fields of many images, as `update` does; ids that no image has are counted.

        Args:
            changes: fields by id, as a mapping or in pairs.
            dry_run: count only; change nothing.

        Raises:
            InputError: a field's name is reserved, or a value does not fit its type. The images
                before, in thousands, stay updated.
        """
        return updates.update_many(self._engine, self._manifests, changes, dry_run=dry_run)

    def update_from(
        self,
        file: str | os.PathLike[str],
        *,
        by: str | None = None,
        id_field: str | None = None,
        encoding: str | None = None,
        dry_run: bool = False,
    ) -> UpdateReport:
        """Sets fields from a CSV, JSON Lines or Parquet file, and leaves those alone that it has no
        column for, or no value.

        Args:
            file: a row for each image, with its id.
            by: field whose value names the images instead, several if they share it.
            id_field: column with the ids or those values; by default `id`, or as the field.
            encoding: encoding of the file; by default UTF-8 or UTF-16.
            dry_run: count only; change nothing.

        Raises:
            MetadataError: the file cannot be used as it is.
            QueryError: no field of texts or whole numbers has the name `by`.
        """
        own = self._engine, self._manifests
        options: dict[str, Any] = {"id_field": id_field, "encoding": encoding, "dry_run": dry_run}
        return updates.update_from(*own, file, by=by, **options)

    def delete(
        self,
        ids: Id | Iterable[Id] | None = None,
        *,
        where: Where | None = None,
        params: Params | None = None,
    ) -> int:
        """Removes one image, several, or all that pass a filter from the index, never from disk;
        returns their number.

        Raises:
            QueryError: both ids and a filter, or neither.
            FilterError: `where` does not parse, or does not fit the fields.
        """
        if (ids is None) == (where is None):
            raise QueryError("Name the images to remove by ids, or by a filter.")
        if where is not None:
            ids = [point.id for point in self.scroll(where, params=params)]
        points = self._engine.retrieve(ids_of(ids))
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

        `image`, `id`, `text`, `negative_text` and `color` may be lists. A picture is a path, a
        file's bytes, an open file, a Pillow image, an array of RGB pixels, or a URL where the
        index was opened with `allow_url_fetch`; a palette may be a mapping of shares by name.

        Raises:
            QueryError: nothing to search by, or something that the index does not have.
            FilterError: `where` does not parse, or does not fit the fields.
            ImageRejected: the image cannot be read.
            NotFound: no image has this id.
        """
        return self._searcher.search(options)

    @documented(RecommendOptions)
    def recommend(
        self,
        like: Example | Sequence[Example] = (),
        unlike: Example | Sequence[Example] = (),
        *,
        files: bool = True,
        **options: Unpack[RecommendOptions],
    ) -> Hits:
        """Finds images like some examples and unlike others; the examples are left out.

        Args:
            like: ids of the index, pictures in any form, or text as in "text:a red dress".
            unlike: the same. Without `like`, the images least like these come first.
            files: whether an example may name a file of this machine.
            {options}

        Raises:
            NotFound: an example is neither an id nor a file.
            QueryError, FilterError, ImageRejected: as in `search`.
        """
        return self._searcher.search({"like": like, "unlike": unlike, "files": files, **options})

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

    @documented(FilterOptions)
    def facets(
        self, field: str, *, limit: int = 100, **filter: Unpack[FilterOptions]
    ) -> list[tuple[str | int | bool, int]]:
        """Counts the values of a field among the images that pass a filter, most frequent first.

        Raises:
            QueryError: there is no such field, or it has a `histogram` instead: floats, dates.
        """
        counted = self.up_to_date(lambda: require_field(field, self.fields))
        return facets(self._engine, counted, self._filter(**filter), limit)

    @documented(FilterOptions)
    def histogram(self, field: str, bins: int = 10, **filter: Unpack[FilterOptions]) -> Histogram:
        """Counts the images that pass a filter in about `bins` round ranges of a number or date.

        Raises:
            QueryError: there is no such field, or it holds neither numbers nor dates.
        """
        counted = self.up_to_date(lambda: require_field(field, self.fields))
        return histogram(self._engine, counted, self._filter(**filter), bins=bins)

    @documented(EvaluationOptions)
    def evaluate(
        self, field: str | None = None, **options: Unpack[EvaluationOptions]
    ) -> Evaluation:
        """Measures how well searches by image find relevant images: those with the same value of a
        field, or those that a file of judgments names.

        Args:
            field: its name; texts, lists of texts, whole numbers, true or false.
            {options}

        Raises:
            QueryError: there is no such field, or too few images are relevant to another.
            MetadataError: the file of judgments cannot be used as it is.
        """
        where = self._filter(options.get("where"))
        judged = None if field is None else require_field(field, self.fields)
        own = self._engine, self._manifest, self.search_many
        name, replace = options.get("save_preset"), options.get("replace", False)
        if name is not None:
            check_preset_name(self._manifests.read(), name, replaces=replace)
        evaluation = evaluate(*own, judged, where, options)
        if name is not None:
            self.save_preset(name, evaluation.fitted, replace=replace)
        return evaluation

    def save_preset(
        self, name: str, weights: Mapping[str, float] | None, *, replace: bool = False
    ) -> None:
        """Stores weights by name, for searches by everyone: `weights="mine"`; None removes them.

        Raises:
            InputError: the name is not valid, or is taken and `replace` is False.
            QueryError: an unknown aspect, or a weight that is negative or not finite.
        """
        taken = replace or weights is None
        check_preset_name(self._manifests.read(), name, replaces=taken)
        self._manifests.update(partial(with_preset, name=name, weights=weights))

    # --- duplicates -------------------------------------------------------------------------

    @documented(CleanupOptions)
    def resolve_duplicates(
        self, groups: Iterable[DuplicateGroup], action: Action, **options: Unpack[CleanupOptions]
    ) -> CleanupReport:
        """Removes the copies in some groups, and leaves the keepers and similar images.

        Args:
            groups: from `duplicates`.
            action: "remove" removes the copies from the index; "move" also moves their files to a
                folder; "delete" also deletes their files, each only while its keeper exists.
            {options}

        Raises:
            InputError: "move" without a folder, "delete" or a move within a bucket without a log,
                or the log is not writable.
        """
        own: dict[str, Any] = {
            "open_bucket": open_bucket,
            "is_indexed": self._finder().is_indexed,
        }
        return cleanup.resolve_duplicates(groups, action, self.delete, **own, **options)
