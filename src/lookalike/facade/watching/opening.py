"""Opening of a watch: of folders, or of buckets."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import Protocol

from lookalike.errors import InputError
from lookalike.facade.watching.buckets import BucketWatch
from lookalike.facade.watching.changes import Change
from lookalike.facade.watching.folders import FolderWatch
from lookalike.sources import open_source
from lookalike.sources.notifications.queue import NotificationQueue
from lookalike.system.inputs import is_object
from lookalike.types import SourceOptions

EVERY = 3600.0
"""Seconds between two passes over everything."""
EVERY_WITH_QUEUE = 86_400.0
"""The same where notifications tell of single objects."""


class Watch(Protocol):
    """Something to watch."""

    def changes(self) -> Generator[Change]:
        """Yields what may have changed, first everything, until the work in this context is over.

        Raises:
            InputError: it cannot be watched.
        """
        ...


def open_watch(
    paths: Sequence[str],
    options: SourceOptions,
    *,
    index: str | None,
    poll: float | None = None,
    every: float | None = None,
    queue: str | None = None,
    tell: Callable[[str], None],
) -> Watch:
    """Opens a watch.

    Args:
        paths: absolute paths of folders, or addresses of buckets or folders in them.
        options: options of the sources.
        index: folder of the index, whose own files do not count; None for one on a server.
        poll: seconds between two looks at folders, where the system is not to tell of changes.
        every: seconds between two passes over everything; by default an hour, or a day with a
            queue.
        queue: URL of the queue of SQS that has the bucket's notifications.
        tell: called with a sentence about what a user should know.

    Raises:
        InputError: the options do not fit the paths, or a library is missing.
        SourceError: a bucket cannot be listed.
    """
    are_objects = set(map(is_object, paths))
    if are_objects == {True, False}:
        raise InputError("Folders and buckets are watched apart: run a watch for each.")
    if are_objects == {False}:
        if queue is not None:
            raise InputError(f"{paths[0]} is not in a bucket, of which a queue could tell.")
        return FolderWatch(paths, options.exclude, index, poll, every or EVERY)
    if poll is not None:
        raise InputError("Buckets are not polled like folders: give the time between two passes.")
    for path in paths:
        open_source(path, options)
    if queue is None:
        return BucketWatch(paths, options, None, every or EVERY, tell)
    if len(paths) > 1 or not paths[0].startswith("s3://"):
        raise InputError("A queue tells of one s3:// address: give it alone.")
    bucket = paths[0].split("/")[2]
    notified = NotificationQueue(queue, bucket)
    return BucketWatch(paths, options, notified, every or EVERY_WITH_QUEUE, tell)
