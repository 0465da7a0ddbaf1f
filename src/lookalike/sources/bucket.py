"""Object stores: a bucket or a folder of one, a single object, or a glob of keys.

    s3://bucket/photos/     Amazon S3, and every store that speaks its protocol
    gs://bucket/photos/     Google Cloud Storage
    az://container/photos/  Azure Blob Storage

A key is part of an address as it is, without percent-encoding.
"""

from __future__ import annotations

import glob
import importlib.util
import os
import posixpath
import re
from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

from lookalike.errors import ImageRejected, Reason, SourceError
from lookalike.protocols import Source
from lookalike.sources._exclusions import Exclusions, is_system_name
from lookalike.sources._names import glob_regex, may_be_image
from lookalike.sources._object_store import Bucket, Listed, UnreadableKey
from lookalike.system.inputs import BUCKET_SCHEMES
from lookalike.system.text_set import TextSet
from lookalike.system.times import format_datetime
from lookalike.types import ImageRef, SourceOptions, StoredObject

SCHEMES = BUCKET_SCHEMES

READERS = 32
"""Objects that are read at once: an object comes after 10 to 100 ms, whatever its size."""


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
    if key and not key.endswith("/"):
        if (found := _find(bucket, key)) is not None:
            return _Object(bucket, found, options)
        if glob.has_magic(key):
            return Objects(bucket, _fixed_part(key), options, re.compile(glob_regex(key)))
        key += "/"
    bucket.require_access(key)
    return Objects(bucket, key, options)


def open_bucket(
    scheme: str, name: str, endpoint: str | None = None, *, anonymous: bool = False
) -> Bucket:
    """Opens a bucket, without a request to it; for the arguments see `Bucket`.

    Raises:
        SourceError: a library is missing, or the endpoint is not a URL.
    """
    if importlib.util.find_spec("obstore") is None:
        raise SourceError(f"{scheme}:// addresses need a library: pip install 'lookalike[cloud]'.")
    return _bucket(scheme, name, endpoint, anonymous, _environment())


def _find(bucket: Bucket, key: str) -> StoredObject | None:
    try:
        return bucket.head(key)
    except SourceError:
        bucket.require_access(_folder_of(key))  # which says more: the answer to HEAD has no text
        raise


@lru_cache(16)
def _bucket(
    scheme: str, name: str, endpoint: str | None, anonymous: bool, environment: tuple[str, ...]
) -> Bucket:
    """A bucket, whose connections serve the reads of many single images."""
    return Bucket(scheme, name, endpoint, anonymous)


def _environment() -> tuple[str, ...]:
    """All variables that may name credentials or an endpoint."""
    prefixes = ("AWS_", "AZURE_", "GOOGLE_")
    return tuple(
        f"{name}={value}" for name, value in os.environ.items() if name.startswith(prefixes)
    )


class Objects:
    """The objects of a folder and its subfolders that may be images, or those that match a glob.

    It passes over hidden folders, what systems have left, exclusions, empty objects without an
    extension, which stand for folders, and objects whose extension stands for something else.
    """

    readers = READERS

    def __init__(
        self,
        bucket: Bucket,
        folder: str,
        options: SourceOptions,
        matches: re.Pattern[str] | None = None,
    ) -> None:
        self.root = bucket.address + folder
        self._bucket = bucket
        self._folder = folder
        self._matches = matches
        self._exclusions = Exclusions(f"/{folder}", options.exclude, only_patterns=True)
        self._arguments = (bucket, folder, options, matches)
        self._incomplete = False
        self._filled: dict[str, bool] = {}

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return Objects, self._arguments

    @property
    def passed_over(self) -> bool:
        return self._exclusions.used

    @property
    def incomplete(self) -> bool:
        return self._incomplete

    def refs(self) -> Iterator[ImageRef]:
        for page in self._bucket.pages(self._folder):
            for one in page:
                if isinstance(one, UnreadableKey):
                    self._incomplete |= one.hides
                if self._lists(one):
                    yield self._ref(one)

    def read(self, ref: ImageRef) -> bytes:
        if not ref.etag:
            raise ImageRejected(
                Reason.UNREADABLE,
                "its key cannot be addressed: rename it to one without //, . or .. as a folder, "
                "and control characters; pip install boto3 lists the keys beside it",
            )
        if not ref.size:
            raise ImageRejected(Reason.EMPTY, "the object is empty")
        return self._bucket.read(self._key(ref.uri), ref.size)

    def covers(self, uri: str) -> bool:
        if not uri.startswith(self.root):
            return False
        if self._matches is not None:
            return self._matches.fullmatch(self._key(uri)) is not None
        folder, _, name = uri[len(self.root) :].rpartition("/")
        return may_be_image(name) and not _is_hidden(folder)

    def excludes(self, uri: str) -> bool:
        return self.covers(uri) and self._is_excluded(self._key(uri))

    def has(self, uri: str) -> bool:
        if not self.covers(uri) or self._is_excluded(self._key(uri)):
            return False
        # A listing answers for most without a request each. One that it lacks may be new.
        return uri in self._listed or self.exists(uri)

    def exists(self, uri: str) -> bool:
        if not uri.startswith(self._bucket.address):
            return True
        try:
            return self._bucket.head(self._key(uri)) is not None
        except SourceError:
            return True

    def lost_folder(self, uri: str) -> str | None:
        lost = None
        folder = posixpath.dirname(self._key(uri))
        while not self._has_any(folder):
            lost = self._bucket.address + folder
            if not folder:
                break
            folder = posixpath.dirname(folder)
        return lost

    def _lists(self, one: Listed) -> bool:
        name = posixpath.basename(one.key)
        if isinstance(one, UnreadableKey):
            return one.key.startswith(self._folder) and may_be_image(name)
        if not one.size and "." not in name:
            return False
        return self.covers(self._bucket.address + one.key) and not self._is_excluded(one.key)

    def _is_excluded(self, key: str) -> bool:
        if self._matches is None:
            folder, _, name = key[len(self._folder) :].rpartition("/")
            if is_system_name(name) or _is_of_system(folder):
                return True
        return self._exclusions.exclude_path(f"/{key}")

    def _ref(self, one: Listed) -> ImageRef:
        uri = self._bucket.address + one.key
        if isinstance(one, UnreadableKey):
            return ImageRef(uri, etag="", size=0)
        modified = format_datetime(one.modified, "microseconds")
        return ImageRef(uri, one.tag, one.size, modified)

    def _key(self, uri: str) -> str:
        return uri[len(self._bucket.address) :]

    @cached_property
    def _listed(self) -> TextSet:
        return TextSet(ref.uri for ref in self.refs())

    def _has_any(self, folder: str) -> bool:
        """True if there is any object in a folder; remembered, as many lost images share one."""
        if folder not in self._filled:
            pages = self._bucket.pages(f"{folder}/" if folder else "")
            self._filled[folder] = any(True for page in pages for _ in page)
        return self._filled[folder]


class _Object(Objects):
    """A single object."""

    def __init__(self, bucket: Bucket, found: StoredObject, options: SourceOptions) -> None:
        exactly = re.compile(re.escape(found.key))
        super().__init__(bucket, _folder_of(found.key), options, exactly)
        self._found = found
        self._options = options

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return _Object, (self._bucket, self._found, self._options)

    def refs(self) -> Iterator[ImageRef]:
        found = self._bucket.head(self._found.key)
        if found is not None and not self._is_excluded(found.key):
            yield self._ref(found)


@lru_cache(4096)
def _is_hidden(folder: str) -> bool:
    return any(name.startswith(".") for name in folder.split("/"))


@lru_cache(4096)
def _is_of_system(folder: str) -> bool:
    return any(map(is_system_name, folder.split("/")))


def _folder_of(key: str) -> str:
    folder = posixpath.dirname(key)
    return f"{folder}/" if folder else ""


def _fixed_part(pattern: str) -> str:
    """The folders of a glob before its first wildcard, with a slash at the end."""
    parts = pattern.split("/")
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    return "".join(f"{part}/" for part in parts[:fixed])
