"""Whole runs: adding the images of sources, and adding uploads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lookalike.cache.store import Cache
from lookalike.ingest.executor import Ingest
from lookalike.ingest.listing import Listing, list_images, list_with_metadata
from lookalike.ingest.partition import Partition, restrict
from lookalike.ingest.prune import remove_missing
from lookalike.ingest.report import IngestCounts, IngestProgress, IngestReport
from lookalike.ingest.schema import check_types, infer_types, learn_types, parse_fields
from lookalike.ingest.uploads import Upload, list_uploads
from lookalike.manifest import ManifestStore
from lookalike.metadata.table import Row, read_metadata
from lookalike.protocols import Engine, Source
from lookalike.types import FieldType


@dataclass(frozen=True, slots=True)
class Destination:
    """The index that a run writes to."""

    engine: Engine
    manifests: ManifestStore
    thumbnails: Cache


@dataclass(frozen=True, slots=True)
class AddRequest:
    """The arguments of `Index.add`.

    Attributes:
        sources: the opened sources, whole.
        metadata: file whose rows name images.
        id_field: its column with the ids; by default `id`.
        fields: declared types of its columns.
        partition: the part of the images to index; None takes all.
        prune: whether to remove images that are gone from the sources.
        progress: called after every batch.
        optimize: whether to build the search graph.
    """

    sources: Sequence[Source]
    metadata: Path | None
    id_field: str | None
    fields: Mapping[str, FieldType | str]
    partition: Partition | None
    prune: bool
    progress: IngestProgress | None
    optimize: bool


def add(
    index: Destination,
    request: AddRequest,
    ingest: Ingest,
    *,
    calibrate: Callable[[], None],
    started: float,
) -> IngestReport:
    """Brings an index up to date with sources; see `Index.add`.

    Args:
        index: what the run writes to.
        request: what to add.
        ingest: indexes the listing.
        calibrate: samples the index if it has grown enough.
        started: start of the run, by `time.monotonic`.
    """
    with _listing(index, request) as listing:
        report = ingest(listing.images, _progress(request.progress, listing))
        if report.interrupted:
            removed = 0
        else:
            removed = _prune(index, request, listing) if request.prune else 0
            others_write = request.partition is not None and request.partition[1] > 1
            if request.optimize and not others_write:
                index.engine.optimize()  # also completes what a run that was killed left
            calibrate()
    return replace(_finished(report, index, started), removed=removed, warnings=listing.warnings)


def put(index: Destination, uploads: Sequence[Upload], ingest: Ingest) -> IngestReport:
    """Adds images that the caller has; see `Index.put`.

    Args:
        index: what the run writes to.
        uploads: the images with their fields.
        ingest: indexes the listing.
    """
    started = time.monotonic()
    images = list_uploads(uploads)
    known = index.manifests.current.fields
    types = infer_types((row.fields for image in images for row in image.rows), known)
    typed = [
        image._replace(rows=[Row(row.id, parse_fields(row.fields, types)) for row in image.rows])
        for image in images
    ]
    if types.keys() - known.keys():
        learn_types(index.engine, index.manifests, types)
    return _finished(ingest(typed, lambda counts: None), index, started)


@contextmanager
def _listing(index: Destination, request: AddRequest) -> Iterator[Listing]:
    """Lists the images; with metadata, lists its rows too and stores the types of its fields."""
    sources, partition = request.sources, request.partition
    if request.metadata is None:
        yield list_images(sources, partition, counted=request.progress is not None)
        return
    known = index.manifests.read().fields
    declared = check_types(request.fields, known)
    with read_metadata(
        request.metadata, id_field=request.id_field, known=known, declared=declared
    ) as table:
        listing = list_with_metadata(table, sources, partition)
        learn_types(index.engine, index.manifests, table.fields)
        yield listing


def _prune(index: Destination, request: AddRequest, listing: Listing) -> int:
    own = restrict(request.sources, request.partition)
    return remove_missing(index.engine, own, index.thumbnails, listing.claimed)


def _progress(progress: IngestProgress | None, listing: Listing) -> Callable[[IngestCounts], None]:
    if progress is None:
        return lambda counts: None
    return lambda counts: progress(counts, listing.count())


def _finished(report: IngestReport, index: Destination, started: float) -> IngestReport:
    model = index.manifests.current.semantic.model
    return replace(report, model=model, seconds=time.monotonic() - started)
