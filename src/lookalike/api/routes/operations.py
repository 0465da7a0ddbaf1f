"""Operating the service: statistics, health, metrics, and sessions."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Request, Response

from lookalike.api.auth import COOKIE, SESSION_SECONDS, ReadRoute, Role, api_router, role_of
from lookalike.api.errors import Forbidden, InvalidRequest, Unauthorized
from lookalike.api.problems import error_responses
from lookalike.api.responses import Document
from lookalike.api.routing import StrictRoute
from lookalike.api.schemas import HealthResponse, StatsResponse
from lookalike.api.service import Service, Serving
from lookalike.errors import ModelError
from lookalike.system.memory import resident_bytes

read_router = api_router("operations")
public = APIRouter(
    tags=["operations"],
    route_class=StrictRoute,
    responses=error_responses(Forbidden, InvalidRequest),
)
guarded = APIRouter(
    tags=["operations"],
    route_class=ReadRoute,
    responses=error_responses(Unauthorized, Forbidden, InvalidRequest),
)
ROUTERS = [read_router, public, guarded]


@read_router.get("/stats", response_model=StatsResponse)
def stats(request: Request, service: Serving) -> Document:
    """Returns the contents, capabilities, and resource use of the index."""
    return Document(
        service.index.stats()
        | {
            "aspects": list(service.index.aspects),
            "presets": {name: dict(weights) for name, weights in service.index.presets.items()},
            "supports_text": _supports_text(service),
            "memory": resident_bytes(),
            "building": service.jobs.is_building,
            "roots": bool(service.options.roots or service.options.addresses),
            "write": role_of(request) >= Role.WRITER,
            "version": version("lookalike"),
        }
    )


def _supports_text(service: Service) -> bool:
    try:
        return service.index.supports_text
    except ModelError:  # without its model, the index can still be browsed
        return False


@read_router.post("/session", status_code=204, response_class=Response)
def begin_session(request: Request, service: Serving) -> Response:
    """Gives a browser a cookie in exchange for a key, for requests that cannot send a header."""
    token = service.authenticator.start_session(role_of(request))
    response = Response(status_code=204)
    response.set_cookie(
        COOKIE,
        token,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@read_router.delete("/session", status_code=204, response_class=Response)
def end_session(request: Request, service: Serving) -> Response:
    """Ends the session of the cookie."""
    service.authenticator.end_session(request.cookies.get(COOKIE, ""))
    response = Response(status_code=204)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


@public.get("/healthz", response_model=HealthResponse)
async def healthz() -> Document:
    """Reports that the service is running."""
    return Document({"status": "ok"})


@public.get("/readyz", response_model=HealthResponse, responses={503: {"model": HealthResponse}})
async def readyz(service: Serving) -> Document:
    """Reports whether the service can search."""
    problem = await service.readiness.problem()
    return Document({"status": problem or "ok"}, 503 if problem else 200)


@guarded.get("/metrics", response_class=Response)
def metrics(service: Serving) -> Any:
    """Returns figures for Prometheus."""
    service.metrics.images.set(len(service.index))
    service.metrics.jobs.set(service.jobs.unfinished)
    service.metrics.memory.set(resident_bytes())
    return Response(service.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
