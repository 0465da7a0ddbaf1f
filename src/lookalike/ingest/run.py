"""Whole runs: adding the images of sources, and adding uploads."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from lookalike.cache.store import Cache
from lookalike.comparison.sketch import THUMBNAIL_SIDE
from lookalike.errors import InputError
from lookalike.ingest.executor import Executor, Ingest, Opener
from lookalike.ingest.listing import Listing, list_images, list_with_metadata
from lookalike.ingest.lookup import CopyDetector
from lookalike.ingest.partition import Partition, check_partition, restrict
from lookalike.ingest.pipeline import Pipeline
from lookalike.ingest.prune import count_excluded, find_missing, remove_missing
from lookalike.ingest.report import IngestCounts, IngestProgress, IngestReport
from lookalike.ingest.schema import (
    check_types,
    infer_types,
    learn_new_types,
    learn_types,
    parse_fields,
)
from lookalike.ingest.uploads import Upload, list_uploads
from lookalike.manifest import ManifestStore
from lookalike.metadata.table import read_metadata
from lookalike.options import Option, with_defaults
from lookalike.protocols import Describers, Engine, ImageDecoder, Source
from lookalike.types import FieldType


@dataclass(frozen=True, slots=True)
class Destination:
    """The index that a run writes to."""

    engine: Engine
    manifests: ManifestStore
    thumbnails: Cache


class AddOptions(TypedDict, total=False):
    """Options of `Index.add`."""

    metadata: Annotated[
        str | os.PathLike[str] | None,
        Option("CSV, JSON Lines or Parquet file whose rows name images."),
    ]
    id_field: Annotated[str | None, Option("Metadata column with the ids; by default `id`.")]
    fields: Annotated[
        Mapping[str, FieldType | str] | None,
        Option('Types of metadata columns, such as `{"price": "float"}`; the others are inferred.'),
    ]
    prune: Annotated[bool, Option("Remove images that the sources no longer have.", False)]
    yes: Annotated[
        bool,
        Option(
            "Let `prune` remove more than a fifth of the images, or all below a folder that is "
            "empty or gone.",
            False,
        ),
    ]
    exclude: Annotated[
        Sequence[str],
        Option("Files and folders to pass over: patterns as in a .gitignore file.", ()),
    ]
    partition: Annotated[
        Partition | None,
        Option(
            "(3, 16) takes the third of sixteen parts of the images and leaves the others alone, "
            "so that sixteen processes can fill an index on a server together."
        ),
    ]
    copies: Annotated[
        Literal["keep", "skip", "link"],
        Option(
            'New images that are copies of one in the index: "keep" adds them like others, "skip" '
            'leaves them out, "link" adds them with the original\'s id in `image.copy_of`.',
            "keep",
        ),
    ]
    progress: Annotated[
        IngestProgress | None,
        Option(
            "Called after every batch with the counts so far, and the number of inputs once it is "
            "known; it may raise `ingest.report.Canceled` to stop the run."
        ),
    ]
    executor: Annotated[
        Executor | None,
        Option(
            "Runs the ingest elsewhere, such as `ray.RayExecutor` on a cluster. Its processes "
            'cannot compare images that they add at the same moment, so it takes copies="keep" '
            "only."
        ),
    ]
    optimize: Annotated[
        bool,
        Option(
            "Build the search graph at the end; see `optimize`. With a partition it is never "
            "built, as other processes may still be writing.",
            True,
        ),
    ]


@dataclass(frozen=True, slots=True)
class AddRequest:
    """Checked options of `Index.add`, and the time of the call by `time.monotonic`."""

    metadata: Path | None
    id_field: str | None
    fields: Mapping[str, FieldType | str]
    prune: bool
    yes: bool
    exclude: Sequence[str]
    partition: Partition | None
    copies: Literal["keep", "skip", "link"]
    progress: IngestProgress | None
    executor: Executor | None
    optimize: bool
    started: float

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
        metadata = None if chosen["metadata"] is None else Path(chosen["metadata"])
        return cls(
            **{**chosen, "metadata": metadata, "fields": chosen["fields"] or {}},
            started=time.monotonic(),
        )

    def ingest(self, local: Ingest, opener: Opener | None) -> AbstractContextManager[Ingest]:
        """The ingest of the run: the executor's, or else the local one."""
        return nullcontext(local) if self.executor is None else self.executor.start(opener)


def add(
    index: Destination,
    sources: Sequence[Source],
    request: AddRequest,
    ingest: Ingest,
    calibrate: Callable[[], None],
) -> IngestReport:
    """Brings an index up to date with sources; see `Index.add`.

    Args:
        index: what the run writes to.
        sources: the opened sources, whole.
        request: the options.
        ingest: indexes the listing.
        calibrate: samples the index if it has grown enough.
    """
    pruned: dict[str, Any] = {}
    with _listing(index, sources, request) as listing:
        report = ingest(listing.images, _progress(request.progress, listing))
        if not report.interrupted:
            pruned = _prune(index, restrict(sources, request.partition), request, listing)
            others_write = request.partition is not None and request.partition[1] > 1
            if request.optimize and not others_write:
                index.engine.optimize()  # also completes what a run that was killed left
            calibrate()
    report = _finished(report, index, request.started)
    return replace(report, **pruned, warnings=listing.warnings)


def _prune(
    index: Destination, sources: Sequence[Source], request: AddRequest, listing: Listing
) -> dict[str, Any]:
    """Removes the images that the sources no longer have, if asked to; returns what to report."""
    if not request.prune:
        return {"excluded": count_excluded(index.engine, sources)}
    missing = find_missing(index.engine, sources, listing.claimed)
    if missing.doubt and not request.yes:
        return {"prune_refused": missing.doubt}
    return {"removed": remove_missing(index.engine, missing, index.thumbnails)}


def put(index: Destination, uploads: Sequence[Upload], ingest: Ingest) -> IngestReport:
    """Adds images that the caller has; see `Index.put`.

    Args:
        index: what the run writes to.
        uploads: the images with their fields.
        ingest: indexes the listing.
    """
    started = time.monotonic()
    images = list_uploads(uploads)
    known = index.manifests.read().fields
    types = infer_types((row.fields for image in images for row in image.rows), known)
    typed = [
        image._replace(
            rows=[replace(row, fields=parse_fields(row.fields, types)) for row in image.rows]
        )
        for image in images
    ]
    learn_new_types(index.engine, index.manifests, types)
    return _finished(ingest(typed, lambda counts: None), index, started)


@contextmanager
def _listing(
    index: Destination, sources: Sequence[Source], request: AddRequest
) -> Iterator[Listing]:
    """Lists the images; with metadata, lists its rows too and stores the types of its fields."""
    partition = request.partition
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
        index.engine,
        decoder,
        replace(describers, thumbnail=side),
        limits=decoder.limits,
        threads=decoder.size + 1,  # one writes while the others wait for a decoder
        thumbnails=index.thumbnails,
        progress=progress,
        detector=detector,
    )
