"""Searching, and what a search page needs around it."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import File, Form, Query, Request, UploadFile

from lookalike.api import requests
from lookalike.api.errors import Refused, problem_of
from lookalike.api.middleware.auth import router
from lookalike.api.responses import JPEG, Document, jpeg
from lookalike.api.schemas import (
    Batch,
    BatchAnswer,
    Conditions,
    FacetsAnswer,
    HistogramAnswer,
    HitsAnswer,
    Recommend,
    Search,
    Side,
    Token,
    UploadAnswer,
    Where,
    WhereAnswer,
)
from lookalike.api.service import Service, Serving
from lookalike.errors import LookalikeError
from lookalike.filters.parser import split
from lookalike.filters.qdrant_json import json_of, where_of
from lookalike.output import documents
from lookalike.types import Hits

reading = router("search")
ROUTERS = [reading]


@reading.post("/search", response_model=HitsAnswer)
def search(service: Serving, query: Search) -> Document:
    """Images like images of the index, kept query images, words, colors, or any blend."""
    return _hits(service, service.index.search(**requests.keywords(service, query)))


@reading.post("/search/upload", response_model=HitsAnswer)
def search_by_upload(
    service: Serving,
    image: Annotated[list[UploadFile], File(description="What to search by.", max_length=16)],
    query: Annotated[str, Form(description="As for POST /v1/search, as JSON.")] = "{}",
) -> Document:
    """The same by images that come with the request, and are not kept."""
    given = requests.keywords(
        service, requests.parsed(Search, query, "query"), *requests.bytes_of(image)
    )
    return _hits(service, service.index.search(**given))


@reading.post("/recommend", response_model=HitsAnswer)
def recommend(service: Serving, query: Recommend) -> Document:
    """Images like some examples, and unlike others."""
    return _hits(service, service.index.recommend(**requests.keywords(service, query)))


@reading.post("/search/batch", response_model=BatchAnswer)
def batch(service: Serving, queries: Batch) -> Document:
    """Many searches and recommendations together; one that fails does not hinder the others."""
    understood = [_understood(service, query) for query in queries.queries]
    found = iter(service.index.search_many([one for one in understood if isinstance(one, dict)]))
    answers = [next(found) if isinstance(one, dict) else one for one in understood]
    return Document({"answers": [_answered(service, one) for one in answers]})


@reading.post("/uploads", status_code=201, response_model=UploadAnswer)
def upload(service: Serving, image: Annotated[UploadFile, File()]) -> Document:
    """Keeps a query image for a while, to search by it again."""
    (data,) = requests.bytes_of([image])
    shown = service.index.decode(data)
    token = service.queries.put(data)
    about = {"width": shown.width, "height": shown.height, "format": shown.format}
    return Document({"upload": token, **about}, 201)


@reading.get("/uploads/thumbnail", response_class=JPEG)
def upload_thumbnail(
    request: Request, service: Serving, upload: Annotated[Token, Query()], side: Side = 256
) -> Any:
    """A kept query image, small."""
    return jpeg(
        request,
        f"{upload}-{side}",
        lambda: service.index.preview(service.queries.get(upload), side),
    )


@reading.post("/where", response_model=WhereAnswer)
def where(service: Serving, query: Conditions) -> Document:
    """Reads a filter without searching: each of its conditions as text and as JSON."""
    texts = (one if isinstance(one, str) else where_of({"must": one}) for one in query.conditions)
    parts = [part for text in texts for part in split(text, service.index.fields)]
    conditions = [{"where": text, "filter": json_of(filter)} for text, filter in parts]
    return Document({"where": " and ".join(text for text, _ in parts), "conditions": conditions})


@reading.get("/facets", response_model=FacetsAnswer)
def facets(
    service: Serving,
    field: Annotated[str, Query(max_length=1_000)],
    where: Where | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Document:
    """The most frequent values of a field with their counts."""
    found = service.index.facets(field, where=where, limit=limit)
    values = [{"value": value, "count": count} for value, count in found]
    return Document({"field": field, "values": values})


@reading.get("/histogram", response_model=HistogramAnswer)
def histogram(
    service: Serving,
    field: Annotated[str, Query(max_length=1_000)],
    where: Where | None = None,
    bins: Annotated[int, Query(ge=1, le=1_000)] = 10,
) -> Document:
    """How many images lie in each range of a field of numbers or dates."""
    return Document(documents.of_histogram(service.index.histogram(field, where=where, bins=bins)))


def _hits(service: Service, hits: Hits) -> Document:
    service.metrics.searched(hits)
    return Document(documents.of_hits(hits))


def _understood(service: Service, query: Search | Recommend) -> dict[str, Any] | Exception:
    try:
        return requests.keywords(service, query)
    except (LookalikeError, Refused) as error:
        return error


def _answered(service: Service, answer: Hits | Exception) -> dict[str, Any]:
    if isinstance(answer, Exception):
        return {"problem": problem_of(answer)}
    service.metrics.searched(answer)
    return documents.of_hits(answer)
