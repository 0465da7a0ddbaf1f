"""Objects that a list of keys names as a source, and parts of them."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Sequence
from functools import cached_property, partial
from typing import Any

from lookalike.errors import ImageRejected, Reason
from lookalike.imaging.decode import check_size
from lookalike.protocols import Source
from lookalike.sources._buckets import open_bucket
from lookalike.sources._key_list import KeyList, ListedKey
from lookalike.sources._object_store import Bucket, UnreadableKey, is_readable
from lookalike.sources._objects import Objects, Scope
from lookalike.system.parts import is_of_part
from lookalike.system.text_set import TextSet
from lookalike.types import UNKNOWN_ETAG, DecodeLimits, ImageRef, SourceOptions, StoredObject


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
        return ListedObjects, self._scope

    def part(self, number: int, count: int) -> Source:
        """See `ingest.partition.DivisibleSource`."""
        return _ListedPart(self._scope, (number, count))

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

    def __init__(self, scope: Scope, partition: tuple[int, int]) -> None:
        super().__init__(*scope)
        self.partition = partition

    def __reduce__(self) -> tuple[type[Objects], tuple[Any, ...]]:
        return _ListedPart, (self._scope, self.partition)

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
