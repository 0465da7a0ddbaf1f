"""Searching, and the values that filters offer."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import File, Form, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError

from lookalike.api import requests
from lookalike.api.auth import api_router, role_of
from lookalike.api.errors import ServiceError
from lookalike.api.problems import problem_of
from lookalike.api.responses import JPEG, Document, jpeg
from lookalike.api.schemas import (
    FEW,
    Batch,
    BatchResponse,
    Conditions,
    FacetsResponse,
    HistogramResponse,
    HitsResponse,
    ParamsText,
    Recommend,
    Search,
    Side,
    Token,
    UploadResponse,
    Where,
    WhereResponse,
    WordsResponse,
)
from lookalike.api.service import Service, Serving
from lookalike.errors import LookalikeError
from lookalike.filters import MAX_SPELLINGS
from lookalike.filters.conditions import Spellings
from lookalike.filters.parser import split
from lookalike.filters.qdrant_json import json_of, where_of
from lookalike.index import Index
from lookalike.output import documents
from lookalike.search.hits import Hits

read_router = api_router("search")
ROUTERS = [read_router]


@read_router.post("/search", response_model=HitsResponse)
def search(service: Serving, query: Search) -> Document:
    """Searches by indexed images, uploaded query images, text, colors, or any blend of them."""
    keywords = requests.keywords(service, query)
    return _hits(service, keywords, service.index.search(**keywords))


@read_router.post("/search/upload", response_model=HitsResponse)
def search_by_upload(
    service: Serving,
    image: Annotated[list[UploadFile], File(description="Query images.", max_length=FEW)],
    query: Annotated[str, Form(description="The body of POST /v1/search, as JSON.")] = "{}",
) -> Document:
    """Searches by images in the request, which are not stored."""
    search = requests.parse_json(Search, query, "query")
    keywords = requests.keywords(service, search, *requests.read_files(image))
    return _hits(service, keywords, service.index.search(**keywords))


@read_router.post("/recommend", response_model=HitsResponse)
def recommend(service: Serving, query: Recommend) -> Document:
    """Searches by liked and disliked examples."""
    keywords = requests.keywords(service, query)
    return _hits(service, keywords, service.index.recommend(**keywords))


@read_router.post("/search/batch", response_model=BatchResponse)
def batch(service: Serving, queries: Batch) -> Document:
    """Runs many searches and recommendations; a query that fails does not affect the others."""
    prepared = [_prepared(service, query, i) for i, query in enumerate(queries.queries)]
    valid = [query for query in prepared if isinstance(query, dict)]
    results = iter(zip(valid, service.index.search_many(valid), strict=True))
    ordered = [next(results) if isinstance(query, dict) else ({}, query) for query in prepared]
    return Document({"results": [_result(service, *result) for result in ordered]})


@read_router.post("/uploads", status_code=201, response_model=UploadResponse)
def upload(request: Request, service: Serving, image: Annotated[UploadFile, File()]) -> Document:
    """Stores a query image for a while, so that later searches can refer to it."""
    (data,) = requests.read_files([image])
    decoded = service.index.decode(data)
    token = service.query_images.put(data, role_of(request))
    facts = {"width": decoded.width, "height": decoded.height, "format": decoded.format}
    return Document({"upload": token, **facts}, 201)


@read_router.get("/uploads/thumbnail", response_class=JPEG)
def upload_thumbnail(
    request: Request, service: Serving, upload: Annotated[Token, Query()], side: Side = 256
) -> Any:
    """Returns a stored query image, its longer side at most `side` pixels."""
    return jpeg(
        request,
        f"{upload}-{side}",
        lambda: service.index.preview(service.query_images.get(upload), side),
    )


@read_router.post("/where", response_model=WhereResponse)
def where(service: Serving, query: Conditions) -> Document:
    """Parses a filter without searching; returns each of its conditions as text and as JSON."""
    index = service.index
    expressions = [
        condition if isinstance(condition, str) else where_of({"must": condition})
        for condition in query.conditions
    ]
    parts = index.up_to_date(
        lambda: [
            part for text in expressions for part in split(text, index.fields, _spellings(index))
        ]
    )
    conditions = [{"where": text, "filter": json_of(filter)} for text, filter in parts]
    return Document({"where": " and ".join(text for text, _ in parts), "conditions": conditions})


@read_router.get("/facets", response_model=FacetsResponse)
def facets(
    service: Serving,
    field: Annotated[str, Query(max_length=1_000)],
    where: Where | None = None,
    params: ParamsText | None = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
) -> Document:
    """Returns the most frequent values of a field with their counts."""
    named = requests.params(params)
    values = service.index.facets(field, where=where, params=named, limit=limit)
    return Document(documents.of_facets(field, values))


@read_router.get("/words", response_model=WordsResponse)
def words(
    service: Serving,
    prefix: Annotated[str, Query(max_length=100)] = "",
    limit: Annotated[int, Query(ge=1, le=10_000)] = 20,
) -> Document:
    """Returns the words with a beginning that the index's model knows, with their precision."""
    return Document(documents.of_words(service.index.words(prefix)[:limit]))


@read_router.get("/histogram", response_model=HistogramResponse)
def histogram(
    service: Serving,
    field: Annotated[str, Query(max_length=1_000)],
    where: Where | None = None,
    params: ParamsText | None = None,
    bins: Annotated[int, Query(ge=1, le=1_000)] = 10,
) -> Document:
    """Counts images by ranges of a numeric or date field."""
    named = requests.params(params)
    counted = service.index.histogram(field, where=where, params=named, bins=bins)
    return Document(documents.of_histogram(counted))


def _spellings(index: Index) -> Spellings:
    return lambda field: [str(value) for value, _ in index.facets(field.name, limit=MAX_SPELLINGS)]


def _hits(service: Service, keywords: dict[str, Any], hits: Hits) -> Document:
    service.record_search(keywords, hits)
    return Document(documents.of_hits(hits))


def _prepared(service: Service, query: Any, number: int) -> dict[str, Any] | Exception:
    try:
        place = ("body", "queries", number)
        return requests.keywords(service, requests.validate(Recommend | Search, query, *place))
    except (LookalikeError, ServiceError, RequestValidationError) as error:
        return error


def _result(service: Service, keywords: dict[str, Any], result: Hits | Exception) -> dict[str, Any]:
    if isinstance(result, Exception):
        return {"problem": problem_of(result)}
    service.record_search(keywords, result)
    return documents.of_hits(result)
