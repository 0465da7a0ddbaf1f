"""Whole runs: adding the images of sources, and adding uploads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from itertools import starmap
from pathlib import Path
from typing import Any, Literal, TypeAlias

from lookalike.cache.store import Cache
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.errors import InputError, QueryError
from lookalike.ingest.executor import Executor, Ingest, Opener
from lookalike.ingest.listing import ListedImage, Listing, list_images, list_with_metadata
from lookalike.ingest.lookup import CopyDetector
from lookalike.ingest.options import AddOptions, PutOptions
from lookalike.ingest.partition import Partition, check_partition, parts_of
from lookalike.ingest.pipeline import Pipeline
from lookalike.ingest.prune import find_missing, remove_missing, with_obsolete_ids
from lookalike.ingest.rejects import remember_rejects
from lookalike.ingest.report import (
    Canceled,
    IngestCounts,
    IngestProgress,
    IngestReport,
    Tally,
    plus,
)
from lookalike.ingest.rows import Columns, OpenFile, read_images
from lookalike.ingest.schema import (
    Pause,
    Retyping,
    declared_types,
    infer_types,
    learn_new_types,
    learn_types,
    misfit_warnings,
    no_pause,
    parse_fields,
    retype,
    retypings,
)
from lookalike.ingest.uploads import CopyFilter, Upload, with_copies
from lookalike.manifest import Manifest
from lookalike.manifest.store import ManifestStore
from lookalike.metadata.notation import Decimal
from lookalike.metadata.table import MetadataTable, Row, read_metadata
from lookalike.options import with_defaults
from lookalike.protocols import Describers, Engine, ImageDecoder, Source
from lookalike.system.iteration import batched
from lookalike.types import FieldType, SourceOptions, Vector

OpenWeb: TypeAlias = Callable[[MetadataTable], Source]
"""Opens the source of the images whose addresses are in a table."""


@dataclass(frozen=True, slots=True)
class Destination:
    """The index that a run writes to."""

    engine: Engine
    manifests: ManifestStore
    thumbnails: Cache


RANGES = 256
"""Ranges of a bucket that the processes of an executor list."""
PUT_BATCH = 64
"""Rows of a table or a data set that are read, checked and stored together."""


@dataclass(frozen=True, slots=True)
class AddRequest:
    """Checked options of `Index.add`, the time of the call by `time.monotonic`, and the path or
    address of the feed that the metadata is, if it is one."""

    metadata: Path | None
    id_field: str | None
    fields: Mapping[str, FieldType]
    encoding: str | None
    decimal: Decimal | None
    fetch: bool
    recheck: bool
    private: Sequence[str]
    prune: bool
    yes: bool
    exclude: Sequence[str]
    endpoint: str | None
    anonymous: bool
    listing: str | None
    partition: Partition | None
    copies: Literal["keep", "skip", "link"]
    progress: IngestProgress | None
    executor: Executor | None
    optimize: bool
    started: float
    feed: str | None = None

    @classmethod
    def of(cls, options: AddOptions) -> AddRequest:
        """Checks options.

        Raises:
            InputError: there is no such partition, or an executor was to skip or link copies.
        """
        chosen = with_defaults(AddOptions, options)
        if chosen["partition"] is not None:
            chosen["partition"] = check_partition(chosen["partition"])
        if chosen["executor"] is not None and chosen["copies"] != "keep":
            raise InputError(
                "An executor cannot detect copies among images that are added at the same moment: "
                'use copies="keep", and find copies afterwards with `lookalike duplicates`.'
            )
        if isinstance(chosen["exclude"], str):
            chosen["exclude"] = [chosen["exclude"]]
        chosen["listing"] = None if chosen["listing"] is None else os.fspath(chosen["listing"])
        chosen["metadata"] = None if chosen["metadata"] is None else Path(chosen["metadata"])
        chosen["fields"] = declared_types(chosen["fields"] or {})
        chosen["decimal"] = _decimal(chosen["decimal"])
        return cls(**chosen, started=time.monotonic())

    @property
    def source_options(self) -> SourceOptions:
        return SourceOptions(self.exclude, self.endpoint, self.anonymous, self.listing)

    def ingest(self, local: Ingest, opener: Opener | None) -> AbstractContextManager[Ingest]:
        """The ingest of the run: the executor's, or else the local one."""
        return nullcontext(local) if self.executor is None else self.executor.start(opener)


def add(
    index: Destination,
    sources: Sequence[Source],
    request: AddRequest,
    ingest: Ingest,
    calibrate: Callable[[], None],
    open_web: OpenWeb | None = None,
) -> IngestReport:
    """Brings an index up to date with sources; see `Index.add`.

    Args:
        index: what the run writes to.
        sources: the opened sources, whole.
        request: the options.
        ingest: indexes the listing.
        calibrate: samples the index if it has grown enough.
        open_web: opens the source of the addresses in metadata; None leaves them alone.
    """
    pruned: dict[str, Any] = {}
    with _listing(index, sources, request, open_web) as (listing, changes):
        report = ingest(listing.images, _progress(request.progress, listing))
        whole = not report.interrupted and request.partition is None and request.listing is None
        remember_rejects(index.thumbnails, report.rejects, listing.sources if whole else ())
        pause = _pause(request, report, listing.count())
        try:
            if not report.interrupted:
                pruned = _prune(index, request, listing, report, pause)
                changes = [change.convert(index.engine, pause) for change in changes]
        except Canceled:
            report = replace(report, interrupted=True)
        if not report.interrupted:
            others_write = request.partition is not None and request.partition[1] > 1
            if request.optimize and not others_write:
                index.engine.optimize()  # also completes what a run that was killed left
            calibrate()
    report = _finished(report, index, request.started)
    misfits = sum(len(change.misfits) for change in changes)
    notes = () if report.interrupted else index.engine.info().get("notes", ())
    return replace(
        report,
        **pruned,
        outdated=report.outdated + misfits,
        warnings=(*misfit_warnings(changes), *listing.warnings),
        incomplete=report.incomplete or any(source.incomplete for source in listing.sources),
        engine_notes=tuple(notes),
    )


def _prune(
    index: Destination,
    request: AddRequest,
    listing: Listing,
    report: IngestReport,
    pause: Pause,
) -> dict[str, Any]:
    """Removes the images that the sources or the metadata no longer have, if asked to; returns what
    to report."""
    passed_over = any(source.passed_over for source in listing.sources)
    if not (request.prune or request.metadata or passed_over):
        return {}
    rejected = {reject.uri for reject in report.rejects}
    missing = find_missing(index.engine, listing, request.partition, rejected, pause)
    if not request.prune:
        return {"excluded": missing.excluded, "without_row": len(missing.without_row)}
    if missing.doubt and not request.yes:
        return {"prune_refused": missing.doubt}
    return {"removed": remove_missing(index.engine, missing, index.thumbnails)}


def put(
    index: Destination, images: Any, options: PutOptions, open_file: OpenFile, ingest: Ingest
) -> IngestReport:
    """Adds images that the caller has; see `Index.put`.

    Args:
        index: what the run writes to.
        images: uploads, or the rows of a table or a data set.
        options: the columns.
        open_file: opens a file that a row names.
        ingest: indexes a listing.
    """
    started, tally, filter = time.monotonic(), Tally(), CopyFilter()
    chosen = with_defaults(PutOptions, options)
    progress = chosen["progress"] or (lambda counts, total: None)
    columns = Columns(chosen["image_field"], chosen["id_field"], chosen["fields"])
    listed = read_images(images, columns, open_file)
    total = len(images) if hasattr(images, "__len__") else None
    # A list of uploads is in memory as it is: what is wrong with it is found before any is written.
    is_whole = isinstance(images, list | tuple) and len(images) and isinstance(images[0], Upload)
    interrupted = False
    for batch in [list(listed)] if is_whole else batched(listed, PUT_BATCH):
        typed = _typed(index, filter.without_copies(batch))
        before = tally.counts
        report = ingest(typed, lambda counts: progress(plus(before, counts), total))  # noqa: B023
        tally.add(report)
        if report.interrupted:
            interrupted = True
            break
    report = _finished(tally.report(interrupted=interrupted), index, started)
    return with_copies(report, filter.copies)


def _typed(index: Destination, images: Sequence[ListedImage]) -> list[ListedImage]:
    """The images with the values of their fields as the payload holds them; types that are new to
    the index are stored."""
    index.manifests.reload()  # its vectors may be others by now, too
    manifest = index.manifests.current
    known = manifest.fields
    types = infer_types((row.fields for image in images for row in image.rows), known)
    typed = [
        image._replace(
            rows=[
                replace(
                    row,
                    fields=parse_fields(row.fields, types),
                    vectors=_checked_vectors(manifest, image, row),
                )
                for row in image.rows
            ]
        )
        for image in images
    ]
    learn_new_types(index.engine, index.manifests, types)
    return typed


def _checked_vectors(manifest: Manifest, image: ListedImage, row: Row) -> dict[str, Vector]:
    """The caller's vectors by name, without those that no aspect has, as an export does.

    Raises:
        InputError: no image could have one of them.
    """
    unweighed = {name for name, spec in manifest.vectors.items() if spec.aspect is None}
    own = {aspect: vector for aspect, vector in row.vectors.items() if aspect not in unweighed}
    try:
        return dict(starmap(manifest.checked_vector, own.items()))
    except QueryError as error:
        raise InputError(f"{row.id or image.ref.uri}: {error}") from None


@contextmanager
def _listing(
    index: Destination,
    sources: Sequence[Source],
    request: AddRequest,
    open_web: OpenWeb | None,
) -> Iterator[tuple[Listing, Sequence[Retyping]]]:
    """Lists the images, with metadata also its rows, and stores the types of the fields."""
    partition = request.partition
    known = index.manifests.read().fields
    if request.metadata is None:
        _check_known(request.fields, known)
        listing = list_images(
            parts_of(sources, partition),
            partition,
            counted=request.progress is not None,
            ranges=RANGES if request.executor is not None else 0,
        )
        yield listing, _retyped(index, request)
        return
    with read_metadata(
        request.metadata,
        id_field=request.id_field,
        known=known,
        declared=request.fields,
        encoding=request.encoding,
        decimal=request.decimal,
        feed=request.feed,
    ) as table:
        if open_web is not None:
            sources = [*sources, open_web(table)]
        listing = list_with_metadata(table, sources, partition, named=request.prune)
        if request.prune and request.feed is None:  # images of a new id are cheap to fetch again
            listing = replace(listing, images=with_obsolete_ids(index.engine, listing))
        changes = _retyped(index, request)
        learn_types(index.engine, index.manifests, table.fields, _pause(request, IngestCounts()))
        yield listing, changes


def _check_known(fields: Mapping[str, FieldType], known: Mapping[str, FieldType]) -> None:
    for name in fields:
        if name not in known:
            raise InputError(
                f"There is no field {name!r} to declare: this index has "
                f"{', '.join(known) or 'none yet, metadata brings them'}."
            )


def _retyped(index: Destination, request: AddRequest) -> Sequence[Retyping]:
    """Changes the types of fields as the request declares."""
    own, pause = (index.engine, index.manifests), _pause(request, IngestCounts())
    changes = retypings(*own, request.fields, request.decimal, pause)
    return retype(*own, changes, pause)


def _pause(request: AddRequest, counts: IngestCounts, total: int | None = None) -> Pause:
    """Reports the counts once more, so that the caller may let others go first."""
    progress = request.progress
    return no_pause if progress is None else partial(progress, counts, total)


def _decimal(name: str | None) -> Decimal | None:
    if name is None:
        return None
    try:
        return Decimal(name)
    except ValueError:
        raise InputError(f"decimal must be comma or point (got {name!r}).") from None


def _progress(progress: IngestProgress | None, listing: Listing) -> Callable[[IngestCounts], None]:
    if progress is None:
        return lambda counts: None
    return lambda counts: progress(counts, listing.count())


def _finished(report: IngestReport, index: Destination, started: float) -> IngestReport:
    model = index.manifests.current.semantic.model
    return replace(report, model=model, seconds=time.monotonic() - started)


def build_pipeline(
    index: Destination,
    decoder: ImageDecoder,
    describers: Describers,
    progress: Callable[[IngestCounts], None],
    detector: CopyDetector | None,
) -> Pipeline:
    """The pipeline of one run; see `Index.ingest`."""
    side = THUMBNAIL_SIDE if index.thumbnails.limit or detector else 0
    return Pipeline(
        index.engine.settled(),
        decoder,
        replace(describers, thumbnail=side),
        limits=decoder.limits,
        threads=decoder.size + 1,  # one writes while the others wait for a decoder
        thumbnails=index.thumbnails,
        progress=progress,
        detector=detector,
    )
