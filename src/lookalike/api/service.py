"""The service as routes see it: the index and everything around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Request

from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.auth import Authenticator
from lookalike.api.errors import Forbidden, TooBusy
from lookalike.api.jobs.queue import JobQueue
from lookalike.api.metrics import Metrics
from lookalike.api.options import Options
from lookalike.api.readiness import Readiness
from lookalike.api.shutdown import Shutdown
from lookalike.api.stores.query_images import QueryImageStore
from lookalike.api.stores.uploads import UploadStore
from lookalike.index import Index
from lookalike.search.hits import Hits
from lookalike.search.query_log import QueryLog
from lookalike.sources.web.fetcher import Fetcher
from lookalike.system.locks import WriteLock

MAX_WAITING_WRITERS = 16
"""Writers that wait for another one to finish; more are refused at once."""


@dataclass(frozen=True, slots=True)
class Service:
    """Everything that routes work with; a route declares a parameter of type `Serving` to get it.

    Attributes:
        index: searched from any number of threads; changed only within `writing()`.
        write_lock: held by whatever changes the index.
        query_images: uploaded query images, by token.
        uploads: files of images added over HTTP.
        fetcher: downloads query images by URL; None where that is off.
        jobs: the background jobs.
        metrics: the figures behind /metrics.
        shutdown: tells that the service is stopping.
        readiness: tells whether the index can be searched.
        query_log: keeps the ids and texts of searches; None where that is off.
    """

    index: Index
    options: Options
    authenticator: Authenticator
    write_lock: WriteLock
    query_images: QueryImageStore
    uploads: UploadStore
    fetcher: Fetcher | None
    jobs: JobQueue
    metrics: Metrics
    shutdown: Shutdown
    readiness: Readiness
    query_log: QueryLog | None = None

    def record_search(self, search: Mapping[str, Any], hits: Hits) -> None:
        """Counts a search that was answered, and logs its query if the operator wants that.

        Args:
            search: the keywords of `Index.search` or `Index.recommend`.
            hits: the answer.
        """
        self.metrics.record_search(hits)
        if self.query_log is not None:
            self.query_log.add(search)

    def may_read(self, uri: str) -> bool:
        """Tells if the file of an image may be read for a client: a record out of a backup file may
        name any file of this machine."""
        folders = [*self.options.roots, *([self.options.uploads] if self.options.uploads else ())]
        allowed = AllowedFolders(folders, self.options.addresses)
        return not self.index.is_restored or allowed.contains(uri)

    def require_readable(self, *uris: str) -> None:
        """Raises Forbidden unless the files of some images may be read for a client."""
        if not all(map(self.may_read, uris)):
            raise Forbidden(
                "The index was restored from a backup, so the service reads only images below a "
                "folder that --root names."
            )

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the write lock.

        Raises:
            TooBusy: another writer did not finish within `options.write_timeout`, or too many wait
                already. A writer that waits occupies a thread, of which searches need some.
        """
        if self.write_lock.waiting >= MAX_WAITING_WRITERS or not self.write_lock.acquire(
            self.options.write_timeout
        ):
            raise TooBusy("Other clients are changing the index; try again in a moment.")
        try:
            yield
        finally:
            self.write_lock.release()


async def service_of(request: Request) -> Service:
    """Returns the service of the application that received a request.

    Asynchronous because FastAPI runs synchronous dependencies in another thread, which costs more
    than all of the routing of a request.
    """
    service: Service = request.app.state.service
    return service


Serving = Annotated[Service, Depends(service_of)]
