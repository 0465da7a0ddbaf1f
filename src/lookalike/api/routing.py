"""Routes that refuse unknown query parameters: a misspelled filter would filter nothing.

They wait for a server that is away no longer than a person does; background jobs wait longer.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from lookalike.system import patience

PATIENCE = 3.0
"""Seconds that a request waits for the engine's server; then, or if it is known to be away, the
answer is 503."""


class StrictRoute(APIRoute):
    """A route that refuses unknown query parameters."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        known = _query_names(self.dependant)

        async def strict(request: Request) -> Response:
            if unknown := request.query_params.keys() - known:
                raise _unknown_parameters(sorted(unknown), sorted(known))
            with patience.at_most(PATIENCE):
                return await handler(request)

        return strict


def _query_names(dependant: Dependant) -> set[str]:
    """Returns the names of the query parameters of a route and of what it depends on."""
    names = {field.alias for field in dependant.query_params}
    return names.union(*map(_query_names, dependant.dependencies))


def _unknown_parameters(unknown: list[str], known: list[str]) -> RequestValidationError:
    has = f"it has {', '.join(known)}" if known else "it has none"
    message = f"this path has no such query parameter; {has}"
    return RequestValidationError(
        [
            {"type": "extra_forbidden", "loc": ("query", name), "msg": message, "input": None}
            for name in unknown
        ]
    )
