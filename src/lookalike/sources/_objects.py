"""Objects of a bucket as a source, and parts of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

from lookalike.errors import ImageRejected, Reason, SourceError
from lookalike.protocols import Source
from lookalike.sources._exclusions import Exclusions, is_system_name
from lookalike.sources._key_parts import (
    LEAST,
    after_all,
    beginning_length,
    beginnings,
    owned_pages,
)
from lookalike.sources._names import may_be_image
from lookalike.sources._object_store import Bucket, Listed, StoreAway, UnreadableKey
from lookalike.system.parts import is_of_part
from lookalike.system.text_set import TextSet
from lookalike.system.times import format_datetime
from lookalike.types import ImageRef, SourceOptions, StoredObject

_STARTS_ANYWHERE = ("s3", "gs")
"""Stores that begin a listing after any key; others send all, and obstore passes over the first."""
_UNORDERED = "--x-s3"
"""End of the names of buckets that S3 lists in no order, the directory buckets."""

READERS = 32
"""Objects that are read at once: an object comes after 10 to 100 ms, whatever its size."""

MOST_FAILURES = READERS
"""Objects in a row for which a store may be away. For each, it was asked for a minute or two, so
that it is not asked about those that are left, each of which would take as long."""


class Scope(NamedTuple):
    """The objects that a source is about, before it is divided: the arguments of `Objects`."""

    bucket: Bucket
    folder: str
    options: SourceOptions
    matches: re.Pattern[str] | None


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
        self._scope = Scope(bucket, folder, options, matches)
        self._incomplete = False
        self._filled: dict[str, bool] = {}
        self._failures = 0

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return Objects, self._scope

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
        return _Part(self._scope, length, (number, count))

    def ranges(self, count: int) -> Sequence[Source]:
        """See `ingest.partition.DivisibleSource`."""
        length = self._beginning_length(max(count // LEAST, 1))
        starts = list(beginnings(self._bucket, self._folder, length)) if length else []
        if starts != sorted(starts) or not starts:  # a store that lists by folders
            return [self]
        size = -(-len(starts) // count)
        ends = [after_all(start) for start in starts[size - 1 :: size]][: count - 1]
        bounds = pairwise([None, *ends, None])
        return [_Range(self._scope, after, until) for after, until in bounds]

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

    def __init__(self, scope: Scope, length: int | None, partition: tuple[int, int]) -> None:
        super().__init__(*scope)
        self.partition = partition
        self._length = length

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return _Part, (self._scope, self._length, self.partition)

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

    def __init__(self, scope: Scope, after: str | None, until: str | None) -> None:
        super().__init__(*scope)
        self._after = after
        self._until = until

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return _Range, (self._scope, self._after, self._until)

    def _pages(self) -> Iterator[Sequence[Listed]]:
        for page in self._bucket.pages(self._folder, self._after):
            own = [one for one in page if self._until is None or one.key <= self._until]
            yield own
            if self._until is not None and page[-1].key > self._until:
                return


class SingleObject(Objects):
    """A single object."""

    def __init__(self, bucket: Bucket, found: StoredObject, options: SourceOptions) -> None:
        exactly = re.compile(re.escape(found.key))
        super().__init__(bucket, folder_of(found.key), options, exactly)
        self._found = found
        self._options = options

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return SingleObject, (self._bucket, self._found, self._options)

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


def folder_of(key: str) -> str:
    folder = posixpath.dirname(key)
    return f"{folder}/" if folder else ""
