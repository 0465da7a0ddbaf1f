"""Looking after the service: what it holds, whether it is well, and sessions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response

from lookalike.api import errors
from lookalike.api.middleware.auth import COOKIE, SESSION_SECONDS, ReadRoute, Role, router
from lookalike.api.responses import Document
from lookalike.api.schemas import HealthAnswer, StatsAnswer
from lookalike.api.service import Service, Serving
from lookalike.errors import LookalikeError, ModelError
from lookalike.search.weights import PRESETS
from lookalike.system.memory import resident_bytes

reading = router("operations")
outside = APIRouter(tags=["operations"], responses=errors.responses(errors.Forbidden))
guarded = APIRouter(
    tags=["operations"],
    route_class=ReadRoute,
    responses=errors.responses(errors.Unauthorized, errors.Forbidden),
)
ROUTERS = [reading, outside, guarded]


@reading.get("/stats", response_model=StatsAnswer)
def stats(request: Request, service: Serving) -> Document:
    """What the index holds, what it can, and what it takes."""
    role = request.app.state.gatekeeper.role(request)
    return Document(
        service.index.stats()
        | {
            "aspects": list(service.index.aspects),
            "presets": {name: dict(weights) for name, weights in PRESETS.items()},
            "text": _supports_text(service),
            "memory": resident_bytes(),
            "building": service.jobs.building,
            "roots": bool(service.options.roots),
            "write": role >= Role.WRITER,
            "version": version("lookalike"),
        }
    )


def _supports_text(service: Service) -> bool:
    try:
        return service.index.supports_text
    except ModelError:  # then nothing can be searched by, but looking at the index still works
        return False


@reading.post("/session", status_code=204, response_class=Response)
def begin_session(request: Request) -> Response:
    """Gives a browser a cookie in exchange for a key, for what cannot send a header."""
    gatekeeper = request.app.state.gatekeeper
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        gatekeeper.begin(gatekeeper.role(request)),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@reading.delete("/session", status_code=204, response_class=Response)
def end_session(request: Request) -> Response:
    """Ends the session of a cookie."""
    request.app.state.gatekeeper.end(request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@outside.get("/healthz", response_model=HealthAnswer)
async def healthz() -> Document:
    """Whether the service is there at all."""
    return Document({"status": "ok"})


@outside.get("/readyz", response_model=HealthAnswer, responses={503: {"model": HealthAnswer}})
def readyz(service: Serving) -> Document:
    """Whether it can search."""
    try:
        service.index.get_many([])
    except LookalikeError as error:
        return Document({"status": str(error)}, 503)
    return Document({"status": "ok"})


@guarded.get("/metrics", response_class=Response)
def metrics(service: Serving) -> Any:
    """Figures for Prometheus."""
    own = service.metrics
    own.images.set(len(service.index))
    own.jobs.set(service.jobs.queued)
    own.memory.set(resident_bytes())
    return Response(own.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
