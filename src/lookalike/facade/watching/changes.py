"""Changes of what is watched, and their way into an index."""

from __future__ import annotations

import csv
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Unpack

from lookalike import record
from lookalike.ingest.options import AddOptions
from lookalike.ingest.report import IngestReport
from lookalike.sources.bucket import READERS, open_bucket
from lookalike.system.inputs import is_object
from lookalike.system.iteration import batched
from lookalike.system.times import format_datetime
from lookalike.types import SourceOptions, StoredObject

_BATCH = 100
"""Images that are removed together."""


class Followed(Protocol):
    """The part of `Index` that follows changes."""

    def add(self, *sources: str, **options: Unpack[AddOptions]) -> IngestReport: ...

    def delete(self, *, where: Mapping[str, Any]) -> int: ...


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """How changes are indexed.

    Attributes:
        prune: whether to remove images that are gone.
        source: options of the sources.
    """

    prune: bool
    source: SourceOptions

    def of_index(self) -> dict[str, Any]:
        """The options for `Index.add`."""
        own = self.source
        return {"exclude": own.exclude, "endpoint": own.endpoint, "anonymous": own.anonymous}


@dataclass(frozen=True, slots=True)
class Change:
    """A place to look at again.

    Attributes:
        paths: folders or addresses.
        is_whole: whether these are all that is watched.
        keys: addresses of the objects below the one path that may have changed, where no others
            have; None for all below the paths.
        done: to be called once the index has the change; until then it may come again.
    """

    paths: Sequence[str]
    is_whole: bool = False
    keys: Sequence[str] | None = None
    done: Callable[[], None] = field(default=lambda: None, compare=False)

    @property
    def is_told_again(self) -> bool:
        """True for folders: the system tells when something comes into an empty one."""
        return not any(map(is_object, self.paths))

    def add_to(self, index: Followed, options: WatchOptions, **more: Any) -> IngestReport:
        """Brings an index up to date with the change.

        Args:
            index: the index.
            options: how.
            more: further options of `Index.add`.

        Raises:
            SourceError: a folder is empty, or a store does not answer.
        """
        if self.keys is None:
            own = options.of_index() | more
            return index.add(*self.paths, prune=options.prune, **own)
        return _add_keys(index, self.paths[0], self.keys, options, more)


def _add_keys(
    index: Followed, address: str, uris: Sequence[str], options: WatchOptions, more: dict[str, Any]
) -> IngestReport:
    """Indexes single objects below an address as they are now, and removes those that are gone."""
    source = options.source
    scheme, _, rest = address.partition("://")
    name = rest.partition("/")[0]
    bucket = open_bucket(scheme, name, source.endpoint, anonymous=source.anonymous)
    keys = [uri.removeprefix(bucket.address) for uri in uris]
    with ThreadPoolExecutor(READERS, "lookalike-head") as pool:
        states = dict(zip(keys, pool.map(bucket.head, keys), strict=True))
    found = [state for state in states.values() if state is not None]
    gone = [bucket.address + key for key, state in states.items() if state is None]
    report = IngestReport()
    if found:
        with _listing(found) as listing:
            report = index.add(address, listing=listing, **options.of_index() | more)
    if gone and options.prune and not report.interrupted:
        bucket.require_access(os.path.dirname(gone[0].removeprefix(bucket.address)))
        removed = sum(map(partial(_remove, index), batched(gone, _BATCH)))
        report = replace(report, removed=removed)
    return report


@contextmanager
def _listing(objects: Sequence[StoredObject]) -> Iterator[Path]:
    """A file that lists objects; see `SourceOptions.listing`."""
    with tempfile.TemporaryDirectory(prefix="lookalike-") as folder:
        path = Path(folder) / "keys.csv"
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["key", "size", "etag", "last_modified"])
            for one in objects:
                modified = format_datetime(one.modified, "microseconds")
                writer.writerow([one.key, one.size, one.etag, modified])
        yield path


def _remove(index: Followed, uris: Sequence[str]) -> int:
    return index.delete(where={"must": [{"key": record.URI, "match": {"any": list(uris)}}]})
