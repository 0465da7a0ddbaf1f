"""The application: `create_app(index, options)` makes a FastAPI application for an index."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from lookalike.api import openapi, problems
from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.auth import Authenticator
from lookalike.api.following import Follower
from lookalike.api.jobs.queue import JobQueue
from lookalike.api.metrics import Metrics
from lookalike.api.middleware.admission import AdmissionMiddleware
from lookalike.api.middleware.headers import SecurityHeadersMiddleware
from lookalike.api.middleware.metrics import MetricsMiddleware
from lookalike.api.middleware.origin import OriginMiddleware
from lookalike.api.middleware.request_log import RequestLogMiddleware
from lookalike.api.options import Options
from lookalike.api.readiness import Readiness
from lookalike.api.routes import duplicates, images, jobs, migration, operations, search
from lookalike.api.service import Service
from lookalike.api.shutdown import Shutdown
from lookalike.api.static_pages import StaticPages
from lookalike.api.stores.local_state import LocalState
from lookalike.api.stores.query_images import QueryImageStore
from lookalike.api.stores.sessions import SessionStore
from lookalike.api.stores.uploads import UploadStore
from lookalike.errors import AccessDenied
from lookalike.index import Index
from lookalike.search.query_log import FILE as QUERY_LOG
from lookalike.search.query_log import QueryLog
from lookalike.sources.web.fetcher import Fetcher
from lookalike.system.locks import WriteLock
from lookalike.system.state import StateStore

_MAX_PART_BYTES = 2 * 2**20
"""Largest part of a multipart body that is not a file."""

_log = logging.getLogger("lookalike.api")


def create_app(index: Index, options: Options) -> FastAPI:
    """Returns an application that serves an open index, which the caller closes afterwards."""
    state = _open_state(index, options)
    sessions = SessionStore(state)
    service = _service(index, options, state, sessions)
    follower = Follower([sessions.read, index.refresh])
    preparation = Follower([index.prepare_models])  # which may take seconds

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        follower.start()
        preparation.start(at_once=False)
        service.jobs.start()
        yield
        service.jobs.stop()
        follower.stop()
        preparation.stop()
        state.close()

    app = FastAPI(
        title="lookalike",
        version=version("lookalike"),
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its scripts would come from another site
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        form_limits={"max_files": 1_000, "max_fields": 10, "max_part_size": _MAX_PART_BYTES},
    )
    app.state.service = service
    for module in (search, images, duplicates, jobs, migration, operations):
        for router in module.ROUTERS:
            app.include_router(router)
    app.router.default = StaticPages(options.pages)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    problems.install(app)
    _add_middleware(app, service)
    return app


def _open_state(index: Index, options: Options) -> StateStore:
    """Opens the state that all services on the index share, or else the service's own."""
    try:
        shared = index.open_state()
    except AccessDenied as error:
        _log.warning(
            "Sessions, query images, jobs and lists of duplicates are this service's own, as the "
            "server's key does not permit to share them: %s",
            error,
        )
        shared = None
    if shared is not None:
        return shared
    options.state.mkdir(parents=True, exist_ok=True)
    return LocalState(options.state / "state.sqlite")


def _service(index: Index, options: Options, state: StateStore, sessions: SessionStore) -> Service:
    write_lock = WriteLock()
    folders = AllowedFolders(
        options.roots, options.addresses, fetches=options.allow_url_fetch, private=options.private
    )
    return Service(
        index,
        options,
        Authenticator(options, sessions),
        write_lock,
        QueryImageStore(state, options.query_image_bytes),
        UploadStore(options.uploads),
        Fetcher() if options.allow_url_fetch else None,
        JobQueue(index, write_lock, folders, state),
        Metrics(),
        Shutdown(),
        Readiness(index),
        _query_log(options),
    )


def _query_log(options: Options) -> QueryLog | None:
    if not options.log_queries:
        return None
    options.state.mkdir(parents=True, exist_ok=True)
    return QueryLog(options.state / QUERY_LOG)


def _add_middleware(app: FastAPI, service: Service) -> None:
    """Adds the middleware, innermost first."""
    options = service.options
    app.add_middleware(
        AdmissionMiddleware,
        options=options,
        metrics=service.metrics,
        shutdown=service.shutdown,
    )
    if options.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.cors),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type"],
            expose_headers=["ETag", "Retry-After", "X-Request-ID"],
            max_age=600,
        )
    app.add_middleware(OriginMiddleware, options=options)
    app.add_middleware(SecurityHeadersMiddleware, options=options)
    app.add_middleware(MetricsMiddleware, metrics=service.metrics)
    app.add_middleware(RequestLogMiddleware)
