"""The OpenAPI document: what FastAPI makes of the routes, and what it cannot know."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lookalike.api.middleware.auth import SCHEMES
from lookalike.api.schemas import Problem

TAGS = {
    "search": "Finding images, and what a search page needs around it.",
    "images": "The images of the index.",
    "duplicates": "Copies of one picture.",
    "jobs": "What takes long, in the background.",
    "operations": "Looking after the service.",
}
DESCRIPTION = (
    "Finds images that look alike. Ids hold any characters, and so stand in the query or the "
    "body, never in the path. Every error is a problem document (RFC 9457)."
)


def document(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        made = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            description=DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        template = "#/components/schemas/{model}"
        schema = Problem.model_json_schema(ref_template=template)
        made["components"]["schemas"] |= schema.pop("$defs") | {"Problem": schema}
        made["components"]["securitySchemes"] = SCHEMES
        for path in made["paths"]:
            if path.startswith("/v1/"):
                for operation in made["paths"][path].values():
                    operation["security"] = [{name: []} for name in SCHEMES]
        app.openapi_schema = made
    return app.openapi_schema
