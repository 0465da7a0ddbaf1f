"""The OpenAPI document: FastAPI's own, plus the parts that it cannot derive."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from lookalike.api.auth import SCHEMES
from lookalike.api.links import add_links
from lookalike.api.schemas import Problem

TAGS = {
    "search": "Searching images, and the values that filters offer.",
    "images": "Reading, adding, changing, and removing images.",
    "duplicates": "Finding and reviewing near-duplicates.",
    "jobs": "Long-running work in the background.",
    "operations": "Statistics, health, metrics, and sessions.",
}
DESCRIPTION = (
    "Image similarity search. Ids may hold any characters, so they appear in the query string or "
    "the body, never in the path. Every error is a problem document (RFC 9457)."
)


def document(app: FastAPI) -> dict[str, Any]:
    """Returns the document of an application, which is built once."""
    if app.openapi_schema is None:
        built = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version=app.openapi_version,
            description=DESCRIPTION,
            routes=app.routes,
            tags=[{"name": name, "description": text} for name, text in TAGS.items()],
        )
        template = "#/components/schemas/{model}"
        schema = Problem.model_json_schema(ref_template=template)
        built["components"]["schemas"] |= schema.pop("$defs") | {"Problem": schema}
        built["components"]["securitySchemes"] = SCHEMES
        for path in built["paths"]:
            if path.startswith("/v1/"):
                for operation in built["paths"][path].values():
                    operation["security"] = [{name: []} for name in SCHEMES]
        add_links(built["paths"])
        app.openapi_schema = built
    return app.openapi_schema
