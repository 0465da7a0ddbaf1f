"""Options of the runs that fill an index."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, TypedDict

from lookalike.ingest.executor import Executor
from lookalike.ingest.partition import Partition
from lookalike.ingest.report import IngestProgress
from lookalike.options import Option
from lookalike.types import FieldType


class AddOptions(TypedDict, total=False):
    """Options of `Index.add`."""

    metadata: Annotated[
        str | os.PathLike[str] | None,
        Option("CSV, JSON Lines or Parquet file whose rows name images."),
    ]
    id_field: Annotated[str | None, Option("Metadata column with the ids; by default `id`.")]
    fields: Annotated[
        Mapping[str, FieldType | str] | None,
        Option(
            'Types of metadata columns, such as `{"price": "float"}`; the others are inferred. A '
            "field of the index that has another type is converted."
        ),
    ]
    encoding: Annotated[
        str | None,
        Option("Encoding of the metadata file, such as `cp1252`; by default UTF-8 or UTF-16."),
    ]
    decimal: Annotated[
        Literal["comma", "point"] | None,
        Option("Decimal sign of columns whose values leave it open, such as 1.250."),
    ]
    fetch: Annotated[
        bool,
        Option(
            "Download the images that a feed or the metadata names by address, from the public "
            "internet alone; those that the index has, only if they have changed.",
            False,
        ),
    ]
    recheck: Annotated[
        bool,
        Option(
            "Ask the servers whether images that the index has were changed. Without it, such "
            "images count as unchanged unless their addresses change.",
            True,
        ),
    ]
    private: Annotated[
        Sequence[str],
        Option(
            "Hosts of a private network that images may be fetched from, such as 10.0.0.5:8080.",
            (),
        ),
    ]
    prune: Annotated[
        bool,
        Option("Remove images that the sources, or the metadata, no longer have.", False),
    ]
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
    endpoint: Annotated[
        str | None,
        Option(
            "URL of an object store, such as https://minio.example:9000; by default "
            "AWS_ENDPOINT_URL, else the cloud's own."
        ),
    ]
    anonymous: Annotated[bool, Option("Read a public bucket without credentials.", False)]
    listing: Annotated[
        str | os.PathLike[str] | None,
        Option(
            "CSV or Parquet file with the keys of a bucket, or the manifest.json of an S3 "
            "Inventory, a path or an address: the bucket is not listed."
        ),
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
            "known, and before each new field; it may raise `ingest.report.Canceled` to stop the "
            "run."
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


class PutOptions(TypedDict, total=False):
    """Options of `Index.put`."""

    image_field: Annotated[
        str | None,
        Option(
            "Column with the images of a table or a data set: paths, bytes, pictures or arrays. By "
            "default `image`, `img`, `picture`, `file`, `path`, `uri`, `filename` or `file_name`."
        ),
    ]
    id_field: Annotated[str | None, Option("Column with the ids; by default `id`.")]
    fields: Annotated[
        Sequence[str] | None, Option("Columns to store as fields; by default all others.")
    ]
    progress: Annotated[
        IngestProgress | None,
        Option(
            "Called after every batch with the counts so far, and the number of images or None."
        ),
    ]
