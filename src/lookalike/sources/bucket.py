"""Object stores: a bucket or a folder of one, a single object, or a glob of keys.

    s3://bucket/photos/     Amazon S3, and every store that speaks its protocol
    gs://bucket/photos/     Google Cloud Storage
    az://container/photos/  Azure Blob Storage

A key is part of an address as it is, without percent-encoding.
"""

from __future__ import annotations

import glob
import re

from lookalike.errors import SourceError
from lookalike.protocols import Source
from lookalike.sources._buckets import open_bucket
from lookalike.sources._listed_objects import ListedObjects
from lookalike.sources._names import glob_regex
from lookalike.sources._object_store import Bucket
from lookalike.sources._objects import READERS, Objects, SingleObject, folder_of
from lookalike.system.inputs import BUCKET_SCHEMES
from lookalike.types import SourceOptions, StoredObject

__all__ = ["READERS", "SCHEMES", "Objects", "open", "open_bucket"]

SCHEMES = BUCKET_SCHEMES


def open(uri: str, options: SourceOptions) -> Source:
    """Opens the source for an address, after one request to it.

    Args:
        uri: the address.
        options: see `SourceOptions`.

    Raises:
        SourceError: the bucket cannot be listed, or a library is missing.
    """
    scheme, _, rest = uri.partition("://")
    name, _, key = rest.partition("/")
    if not name:
        raise SourceError(f"{uri}: name a bucket, as in {scheme}://bucket/folder/.")
    bucket = open_bucket(scheme, name, options.endpoint, anonymous=options.anonymous)
    kind = Objects if options.listing is None else ListedObjects
    if key and not key.endswith("/"):
        if (found := _find(bucket, key)) is not None:
            if options.listing is not None:
                raise SourceError(f"{uri} names no folder, whose keys a listing names.")
            return SingleObject(bucket, found, options)
        if glob.has_magic(key):
            return kind(bucket, _fixed_part(key), options, re.compile(glob_regex(key)))
        key += "/"
    bucket.require_access(key)
    return kind(bucket, key, options)


def _find(bucket: Bucket, key: str) -> StoredObject | None:
    try:
        return bucket.head(key)
    except SourceError:
        bucket.require_access(folder_of(key))  # which says more: the answer to HEAD has no text
        raise


def _fixed_part(pattern: str) -> str:
    """The folders of a glob before its first wildcard, with a slash at the end."""
    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return "".join(f"{part}/" for part in parts[:fixed])
