"""The HTTP service: `create_app(index, options)` makes a FastAPI application of an index."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from lookalike.api import errors, openapi
from lookalike.api.jobs.queue import Jobs
from lookalike.api.middleware.admission import AdmissionMiddleware
from lookalike.api.middleware.auth import Gatekeeper
from lookalike.api.middleware.headers import SecurityHeaders
from lookalike.api.middleware.metrics import Measured, Metrics
from lookalike.api.middleware.origin import OriginMiddleware
from lookalike.api.routes import duplicates, images, jobs, operations, search
from lookalike.api.service import Options, Service, WriteLock
from lookalike.api.static_pages import Pages
from lookalike.api.stores.query_images import Queries
from lookalike.api.stores.uploads import Store
from lookalike.api.url_fetch import Fetcher
from lookalike.index import Index

__all__ = ["Options", "create_app"]

_PART_BYTES = 2 * 2**20
"""What a part of a multipart body may have that is no file."""


def create_app(index: Index, options: Options) -> FastAPI:
    """The application that serves an open index. The index stays the caller's to close."""
    service = _service(index, options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service.jobs.start()
        yield
        service.jobs.stop()
        service.queries.close()

    app = FastAPI(
        title="lookalike",
        version=version("lookalike"),
        openapi_url="/v1/openapi.json",
        docs_url=None,  # its scripts would come from elsewhere
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        form_limits={"max_files": 1_000, "max_fields": 10, "max_part_size": _PART_BYTES},
    )
    app.state.service = service
    app.state.gatekeeper = Gatekeeper(options)
    for topic in (search, images, duplicates, jobs, operations):
        for router in topic.ROUTERS:
            app.include_router(router)
    app.router.default = Pages(options.pages)
    app.openapi = lambda: openapi.document(app)  # type: ignore[method-assign]
    errors.install(app)
    _guard(app, service)
    return app


def _service(index: Index, options: Options) -> Service:
    options.state.mkdir(parents=True, exist_ok=True)
    turns = WriteLock(options.turn_seconds)
    return Service(
        index,
        options,
        turns,
        Queries(options.state / "queries.sqlite", options.query_bytes),
        Store(options.store),
        Fetcher() if options.fetch else None,
        Jobs(index, turns, roots=options.roots, file=options.state / "jobs.json"),
        Metrics(),
    )


def _guard(app: FastAPI, service: Service) -> None:
    """What every request passes, the last that is added first."""
    options = service.options
    app.add_middleware(AdmissionMiddleware, options=options, metrics=service.metrics)
    if options.cors:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(options.cors),
            allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=["Authorization", "X-API-Key", "Content-Type"],
            expose_headers=["ETag", "Retry-After"],
            max_age=600,
        )
    app.add_middleware(OriginMiddleware, options=options)
    app.add_middleware(SecurityHeaders, options=options)
    app.add_middleware(Measured, metrics=service.metrics)
