"""Options of the search for duplicates, each declared once; see `lookalike.options`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

from lookalike.duplicates.bulk.listing import StageProgress
from lookalike.duplicates.bulk.steps import CheckExecutor
from lookalike.duplicates.keepers import KeeperChoice
from lookalike.ingest.partition import Partition
from lookalike.options import Option
from lookalike.system.inputs import Id


class WebOptions(TypedDict, total=False):
    """Options for originals on the web."""

    fetch: Annotated[
        bool,
        Option(
            "Download originals from the web where their thumbnails do not suffice; otherwise they "
            "are not read.",
            False,
        ),
    ]
    private: Annotated[
        Sequence[str],
        Option("Hosts of a private network, as IP:PORT, that may be fetched from.", ()),
    ]


class CheckOptions(WebOptions, total=False):
    """Options of a check of the whole index."""

    where: Annotated[
        str | Mapping[str, Any] | None, Option("Filter; only matching images are considered.")
    ]
    params: Annotated[
        Mapping[str, Any] | None,
        Option("Values by name for the filter, which names them as in price < :max."),
    ]
    progress: Annotated[
        StageProgress | None,
        Option("Called with the name of a stage, the work done in it, and its total."),
    ]
    memory: Annotated[int, Option("Bytes of memory; what exceeds it waits on the disk.", 10**9)]
    work: Annotated[
        str | os.PathLike[str] | None,
        Option(
            "Folder for what has been compared, by which an interrupted search goes on; by default "
            "beside the thumbnails of the index."
        ),
    ]
    executor: Annotated[
        CheckExecutor | None,
        Option(
            "Finds neighbors and compares pictures elsewhere, such as `RayExecutor()`; an index in "
            "a folder cannot use one."
        ),
    ]


class GroupOptions(CheckOptions, total=False):
    """Options of `Index.duplicates`."""

    keep: Annotated[
        KeeperChoice,
        Option(
            'Policy that chooses the image of a group to keep: "largest", "oldest", "best", '
            '"first", or a function of an image\'s payload whose greatest value is kept.',
            "largest",
        ),
    ]
    similar: Annotated[
        bool,
        Option(
            "List similar images that are not copies beside each keeper; they may be in several "
            "groups.",
            False,
        ),
    ]
    verdicts: Annotated[
        Sequence[str] | None,
        Option(
            "Verdicts of the copies to list and resolve: identical, same-pixels, same-picture; by "
            "default all of them."
        ),
    ]
    protect: Annotated[
        Sequence[str | os.PathLike[str]],
        Option(
            "Folders whose files always stay: they are preferred as keepers, and never removed, "
            "moved or deleted.",
            (),
        ),
    ]


class PartOptions(CheckOptions, total=False):
    """Options of `Index.compare_duplicates`."""

    partition: Annotated[
        Partition, Option("Number of the part, from 1, and number of parts.", (1, 1))
    ]


class DuplicateOptions(WebOptions, total=False):
    """Options of `Index.duplicates_of`."""

    id: Annotated[
        Id | None,
        Option("Image of the index, in place of a file; it is not a duplicate of itself."),
    ]
    similar: Annotated[bool, Option("Add similar images that are not copies.", False)]
    limit: Annotated[int, Option("Most duplicates to return.", 100)]
    holds_more: Annotated[
        bool,
        Option(
            "Tell what each duplicate holds that the image does not, in its `holds_more`; the "
            "originals are read.",
            False,
        ),
    ]


class CleanupOptions(TypedDict, total=False):
    """Options of `Index.resolve_duplicates`."""

    move_to: Annotated[
        str | os.PathLike[str] | None,
        Option(
            'Folder for the files that "move" moves; for those in a bucket an address in their '
            "store, such as s3://bucket/aside/."
        ),
    ]
    log: Annotated[
        str | os.PathLike[str] | None,
        Option(
            "Log of moved and deleted files, for `lookalike undo`; by default `undo.jsonl` in "
            "`move_to`, if that is on disk."
        ),
    ]
    dry_run: Annotated[bool, Option("Report only; change nothing.", True)]
    even_if_more: Annotated[
        bool,
        Option(
            "Include copies that hold something their keepers do not, except camera raw.", False
        ),
    ]
