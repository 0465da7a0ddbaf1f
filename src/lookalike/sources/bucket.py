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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache, partial
from itertools import pairwise
from typing import Any

from lookalike.errors import ImageRejected, Reason, SourceError
from lookalike.imaging.decode import check_size
from lookalike.protocols import Source
from lookalike.sources._exclusions import Exclusions, is_system_name
from lookalike.sources._key_list import KeyList, ListedKey
from lookalike.sources._key_parts import (
    LEAST,
    after_all,
    beginning_length,
    beginnings,
    owned_pages,
)
from lookalike.sources._names import glob_regex, may_be_image
from lookalike.sources._object_store import Bucket, Listed, StoreAway, UnreadableKey, is_readable
from lookalike.system.inputs import BUCKET_SCHEMES
from lookalike.system.parts import is_of_part
from lookalike.system.text_set import TextSet
from lookalike.system.times import format_datetime
from lookalike.types import UNKNOWN_ETAG, DecodeLimits, ImageRef, SourceOptions, StoredObject

SCHEMES = BUCKET_SCHEMES

_STARTS_ANYWHERE = ("s3", "gs")
"""Stores that begin a listing after any key; others send all, and obstore passes over the first."""
_UNORDERED = "--x-s3"
"""End of the names of buckets that S3 lists in no order, the directory buckets."""

READERS = 32
"""Objects that are read at once: an object comes after 10 to 100 ms, whatever its size."""

MOST_FAILURES = READERS
"""Objects in a row for which a store may be away. For each, it was asked for a minute or two, so
that it is not asked about those that are left, each of which would take as long."""


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
            return _Object(bucket, found, options)
        if glob.has_magic(key):
            return kind(bucket, _fixed_part(key), options, re.compile(glob_regex(key)))
        key += "/"
    bucket.require_access(key)
    return kind(bucket, key, options)


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
        self._failures = 0

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return Objects, self._arguments

    @property
    def passed_over(self) -> bool:
        return self._exclusions.used

    @property
    def incomplete(self) -> bool:
        return self._incomplete

    def refs(self) -> Iterator[ImageRef]:
        for page in self._pages():
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
        with self._asked():
            return self._bucket.read(self._key(ref.uri), ref.size)

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Counts a request for an object, and refuses it once the store is away."""
        if self._failures >= MOST_FAILURES:
            raise ImageRejected(
                Reason.UNREADABLE,
                f"the store has failed {MOST_FAILURES} times in a row and is not asked again in "
                "this run: run the same command again later",
            )
        try:
            yield
        except StoreAway:
            self._failures += 1
            raise
        except (FileNotFoundError, ImageRejected):
            self._failures = 0
            raise
        self._failures = 0

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

    def part(self, number: int, count: int) -> Source:
        """See `ingest.partition.DivisibleSource`."""
        length = self._beginning_length(count)
        return _Part(*self._arguments, length, (number, count))

    def ranges(self, count: int) -> Sequence[Source]:
        """See `ingest.partition.DivisibleSource`."""
        length = self._beginning_length(max(count // LEAST, 1))
        starts = list(beginnings(self._bucket, self._folder, length)) if length else []
        if starts != sorted(starts) or not starts:  # a store that lists by folders
            return [self]
        size = -(-len(starts) // count)
        ends = [after_all(start) for start in starts[size - 1 :: size]][: count - 1]
        bounds = pairwise([None, *ends, None])
        return [_Range(*self._arguments, after, until) for after, until in bounds]

    def _beginning_length(self, parts: int) -> int | None:
        if self._bucket.scheme not in _STARTS_ANYWHERE or self._bucket.name.endswith(_UNORDERED):
            return None
        return beginning_length(self._bucket, self._folder, parts)

    def _pages(self) -> Iterator[Sequence[Listed]]:
        return self._bucket.pages(self._folder)

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


class _Part(Objects):
    """The objects of a partition: those whose keys have some beginnings.

    Args:
        length: characters of a beginning, below the folder; None if whole keys decide.
        partition: number of the part, from 1, and number of parts.
    """

    def __init__(
        self,
        bucket: Bucket,
        folder: str,
        options: SourceOptions,
        matches: re.Pattern[str] | None,
        length: int | None,
        partition: tuple[int, int],
    ) -> None:
        super().__init__(bucket, folder, options, matches)
        self.partition = partition
        self._length = length

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return _Part, (*self._arguments, self._length, self.partition)

    def covers(self, uri: str) -> bool:
        return super().covers(uri) and self._owns(self._key(uri))

    def _pages(self) -> Iterator[Sequence[Listed]]:
        if self._length is None:
            return super()._pages()
        return owned_pages(self._bucket, self._folder, self._length, self._owns)

    def _lists(self, one: Listed) -> bool:
        return super()._lists(one) and self._owns(one.key)

    def _owns(self, key: str) -> bool:
        end = None if self._length is None else len(self._folder) + self._length
        return is_of_part(self._bucket.address + key[:end], self.partition)


class _Range(Objects):
    """The objects whose keys lie between two texts."""

    def __init__(
        self,
        bucket: Bucket,
        folder: str,
        options: SourceOptions,
        matches: re.Pattern[str] | None,
        after: str | None,
        until: str | None,
    ) -> None:
        super().__init__(bucket, folder, options, matches)
        self._after = after
        self._until = until

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return _Range, (*self._arguments, self._after, self._until)

    def _pages(self) -> Iterator[Sequence[Listed]]:
        for page in self._bucket.pages(self._folder, self._after):
            own = [one for one in page if self._until is None or one.key <= self._until]
            yield own
            if self._until is not None and page[-1].key > self._until:
                return


class ListedObjects(Objects):
    """The objects of a folder, or those that match a glob, that a list of keys names.

    The list says where to look, and the bucket tells what is there: an object that differs from its
    row is read as it is now, and one that the list lacks still belongs to the source.
    """

    def __init__(
        self,
        bucket: Bucket,
        folder: str,
        options: SourceOptions,
        matches: re.Pattern[str] | None = None,
    ) -> None:
        super().__init__(bucket, folder, options, matches)
        opener = partial(open_bucket, endpoint=options.endpoint, anonymous=options.anonymous)
        self._keys = KeyList(options.listing or "", opener)
        self._limits = DecodeLimits(bytes=options.largest)
        self._gone = TextSet()

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return ListedObjects, self._arguments

    def part(self, number: int, count: int) -> Source:
        """See `ingest.partition.DivisibleSource`."""
        return _ListedPart(*self._arguments, (number, count))

    def ranges(self, count: int) -> Sequence[Source]:
        return [self]

    def refs(self) -> Iterator[ImageRef]:
        return self._refs(self._keys.keys(self._bucket.address))

    def _refs(self, keys: Iterator[ListedKey]) -> Iterator[ImageRef]:
        seen = None if self._keys.is_inventory else TextSet()
        for one in keys:
            ref = self._ref_of(one)
            if ref is not None and (seen is None or seen.add_new(ref.uri)):
                yield ref

    def read_if_changed(
        self, ref: ImageRef, known: ImageRef | None
    ) -> tuple[ImageRef, bytes | None]:
        """See `protocols.ConditionalSource`."""
        if not ref.etag:
            return ref, self.read(ref)

        def is_wanted(found: StoredObject) -> bool:
            check_size(found.size, self._limits)
            return known is None or found.tag != known.etag

        try:
            with self._asked():
                found, data = self._bucket.read_now(self._key(ref.uri), is_wanted)
        except FileNotFoundError:
            self._gone.add([ref.uri])
            raise ImageRejected(Reason.UNREADABLE, "it is gone") from None
        if data == b"":
            raise ImageRejected(Reason.EMPTY, "the object is empty")
        return self._ref(found), data

    def has(self, uri: str) -> bool:
        return uri not in self._gone and super().has(uri)

    def _ref_of(self, one: ListedKey) -> ImageRef | None:
        if not one.uri.startswith(self.root) or one.uri.endswith("/"):
            return None
        key = self._key(one.uri)
        if not is_readable(key):
            bad = UnreadableKey(key, hides=False)
            return self._ref(bad) if self._lists(bad) else None
        is_folder = one.size == 0 and "." not in posixpath.basename(key)
        if is_folder or not Objects.covers(self, one.uri) or self._is_excluded(key):
            return None
        if one.size is None or not one.etag:
            return ImageRef(one.uri, UNKNOWN_ETAG, one.size or 0)
        return ImageRef(one.uri, f"{one.size}-{one.etag}", one.size, one.modified_at)


class _ListedPart(ListedObjects):
    """A partition of listed objects: those in its share of an inventory's files, or of the rows of
    another list. The bucket's own objects are shared by their addresses, as pruning sees them."""

    def __init__(
        self,
        bucket: Bucket,
        folder: str,
        options: SourceOptions,
        matches: re.Pattern[str] | None,
        partition: tuple[int, int],
    ) -> None:
        super().__init__(bucket, folder, options, matches)
        self.partition = partition

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return _ListedPart, (*self._arguments, self.partition)

    def covers(self, uri: str) -> bool:
        return super().covers(uri) and is_of_part(uri, self.partition)

    def refs(self) -> Iterator[ImageRef]:
        keys = self._keys.keys_of_files(self._bucket.address, self.partition)
        if keys is not None:
            return self._refs(keys)
        return (ref for ref in super().refs() if is_of_part(ref.uri, self.partition))

    @cached_property
    def _listed(self) -> TextSet:
        return TextSet(ref.uri for ref in super().refs())


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
