"""Client requests as arguments of the index. No string from a client becomes a path here."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from fastapi import UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from lookalike.api.errors import Forbidden
from lookalike.api.schemas import Recommend, Search
from lookalike.api.service import Service
from lookalike.errors import InputError, NotFound, QueryError
from lookalike.search.request import TEXT, Params, Where

UPLOAD = "upload:"
"""Prefix of examples that are stored query images."""

T = TypeVar("T")


def keywords(service: Service, query: Search | Recommend, *images: bytes) -> dict[str, Any]:
    """The keywords of `Index.search` or `Index.recommend`.

    Args:
        service: has the index and the kept query images.
        query: the body of the request.
        images: query images that came with the request.

    Raises:
        NotFound: an upload or an example does not exist.
        Forbidden: an address is to be fetched, and this service fetches none.
        QueryError, InputError, ImageRejected: as the index and the fetcher say.
    """
    options = query.model_dump(exclude={"filter", "upload", "url"})
    options["where"] = where(options["where"], query.filter)
    pictures = [
        *images,
        *map(service.query_images.get, _list(query.upload)),
        *(_fetched(service, url) for url in _list(query.url)),
    ]
    options["image"] = pictures
    if isinstance(query, Recommend):
        sides = {side: examples(service, options[side]) for side in ("like", "unlike")}
        return options | sides | {"files": False}
    return options


def where(text: str | None, filter: Mapping[str, Any] | None) -> Where | None:
    """The one filter of a query, in our language or Qdrant's."""
    if text is not None and filter is not None:
        raise QueryError("where and filter are the same filter in two languages: give one of them.")
    return text if filter is None else filter


def params(text: str | None) -> Params | None:
    """The values that a filter names, from the JSON object in a query string.

    Raises:
        RequestValidationError: the text is not a JSON object.
    """
    return None if text is None else parse_json(dict[str, Any], text, "params")


def examples(service: Service, given: Sequence[str]) -> list[str | bytes]:
    """Examples for `Index.recommend`, which says the same of what is neither, and later.

    Raises:
        NotFound: one is neither an image of the index, nor words, nor a kept query image.
    """
    ids = {point.id for point in service.index.get_many(given)} if given else set()
    return [_example(service, one, ids) for one in given]


def _example(service: Service, one: str, ids: set[str]) -> str | bytes:
    if one in ids or one.startswith(TEXT):
        return one
    if one.startswith(UPLOAD):
        return service.query_images.get(one.removeprefix(UPLOAD))
    raise NotFound(
        f'There is no image with the id {one!r} in this index; words are written "{TEXT}{one:.60}".'
    )


def _fetched(service: Service, url: str) -> bytes:
    if service.fetcher is None:
        raise Forbidden(
            "This service fetches no images by URL; send the image itself, or start the service "
            "with --allow-url-fetch."
        )
    return service.fetcher.fetch(url)


def _list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else value or []


def read_files(files: Iterable[UploadFile]) -> list[bytes]:
    """Returns the contents of the files of a request."""
    return [file.file.read() for file in files]


def require_finite(fields: Mapping[str, Any] | None) -> None:
    """Refuses numbers that JSON does not have: in Python NaN clears a field, and a client that
    sends it hardly means that.

    Raises:
        InputError: a value is NaN or infinite.
    """
    for name, value in (fields or {}).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(
                f"{name} cannot be {value}: give a finite number, or null to clear it."
            )


def validate(schema: Any, value: Any, *place: str | int) -> Any:
    """Returns a part of a body, validated.

    Args:
        schema: of the part.
        value: as read from JSON.
        place: of the part in the body, for error messages.

    Raises:
        RequestValidationError: the part does not match the schema.
    """
    try:
        return TypeAdapter(schema).validate_python(value)
    except ValidationError as error:
        errors = [{**entry, "loc": (*place, *entry["loc"])} for entry in error.errors()]
        raise RequestValidationError(errors) from None


def parse_json(schema: type[T], text: str, part: str) -> T:
    """Returns a JSON part of a multipart body, validated.

    Args:
        part: name of the part, for error messages.

    Raises:
        RequestValidationError: the part is not JSON or does not match the schema.
    """
    try:
        parsed: T = validate(schema, json.loads(text), part)
    except (ValueError, RecursionError) as error:
        message = f"invalid JSON: {error}"
        entry = {"type": "json_invalid", "loc": (part,), "msg": message, "input": None}
        raise RequestValidationError([entry]) from None
    return parsed
