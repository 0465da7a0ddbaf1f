"""Parts of a bucket, so that no process lists all of it: objects by the beginning of their keys.

Keys that begin alike are listed together, and a listing can start after any key. So a process that
works on some beginnings of keys jumps over the others, with a request for each. Most stores list by
the bytes of the keys, some by folders; here both serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from lookalike.errors import SourceError
from lookalike.sources._object_store import Bucket, Listed, is_readable

LEAST = 16
"""Beginnings for each part, so that parts are about equal."""
_PAGES = 2
"""Pages for each of them; fewer are listed as fast by every process."""
_HIGHEST = "\U0010ffff"
"""A character that follows all others."""
_LONGEST = 1024
"""The most characters that a key has."""


def beginning_length(bucket: Bucket, folder: str, parts: int) -> int | None:
    """Finds the smallest number of characters below a folder by which its keys fall into enough
    groups, with some hundred requests.

    Args:
        bucket: the bucket.
        folder: the folder.
        parts: number of parts that are wanted.

    Returns:
        The number; None if there are so few keys, or groups, that whole keys have to tell.
    """
    enough = parts * LEAST
    if next(islice(bucket.pages(folder), _PAGES * enough, None), None) is None:
        return None

    def suffices(length: int) -> bool:
        return len(list(islice(beginnings(bucket, folder, length), enough))) == enough

    high = 1
    while not suffices(high):
        if high >= _LONGEST:
            return None
        high *= 2
    low = high // 2  # which does not suffice
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle, high)
    return high


def beginnings(bucket: Bucket, folder: str, length: int) -> Iterator[str]:
    """The different beginnings, of so many characters below a folder, of its keys, in order."""
    last = None
    for page in owned_pages(bucket, folder, length, lambda start: False, foreign=True):
        for one in page:
            start = one.key[: len(folder) + length]
            if start != last:
                yield start
            last = start


def after_all(start: str) -> str:
    """A text that follows all keys with a beginning, and precedes all others that follow."""
    return start + _HIGHEST


def owned_pages(
    bucket: Bucket,
    folder: str,
    length: int,
    owns: Callable[[str], bool],
    *,
    foreign: bool = False,
) -> Iterator[Sequence[Listed]]:
    """Lists the objects of a folder whose keys have some beginnings, a page at a time.

    Args:
        bucket: the bucket.
        folder: the folder.
        length: characters of a beginning, below the folder.
        owns: tells which beginnings are listed, given with the folder.
        foreign: whether to yield the others too, as far as they are on a page that was read anyway.

    Raises:
        SourceError: the store does not answer any more.
    """
    end = len(folder) + length
    after: str | None = None  # a jump
    while True:
        for page in bucket.pages(folder, after, early=False):
            if after is not None and page[0].key.startswith(after.removesuffix(_HIGHEST)):
                raise SourceError(
                    f"{bucket.address}: the store ignores where a listing is to start, so no part "
                    "of it can be listed alone: leave out the partition."
                )
            yield page if foreign else [one for one in page if owns(one.key[:end])]
            last = page[-1].key
            start = last[:end]
            if len(last) >= end and is_readable(start) and not owns(start):
                after = after_all(start)
                break
            after = None
        else:
            return
