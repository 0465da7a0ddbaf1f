"""Client requests as arguments of the index. No string from a client becomes a path here."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from fastapi import UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from lookalike.api.errors import Forbidden
from lookalike.api.schemas import Ranking, Recommend, Search
from lookalike.api.service import Service
from lookalike.errors import NotFound, QueryError
from lookalike.search.planner import TEXT
from lookalike.search.request import Where

UPLOAD = "upload:"
"""What an example begins with when it is a query image that is kept here."""

_RANKING = set(Ranking.model_fields) - {"where", "filter"}

T = TypeVar("T")


def keywords(service: Service, asked: Search | Recommend, *images: bytes) -> dict[str, Any]:
    """The keywords of `Index.search` or `Index.recommend`.

    Args:
        images: query images that came with the request.

    Raises:
        NotFound: an upload or an example is not there.
        Forbidden: an address is to be fetched, and this service fetches none.
        QueryError, InputError, ImageRejected: as the index and the fetcher say.
    """
    common = asked.model_dump(include=_RANKING) | {"where": where(asked)}
    if isinstance(asked, Recommend):
        return common | {
            "like": examples(service, asked.like),
            "unlike": examples(service, asked.unlike),
            "strategy": asked.strategy,
            "files": False,
        }
    own = asked.model_dump(include={"id", "text", "negative_text", "color", "crop"})
    pictures = [
        *images,
        *map(service.query_images.get, _list(asked.upload)),
        *(_fetched(service, url) for url in _list(asked.url)),
    ]
    return common | own | {"image": pictures or None}


def where(asked: Ranking) -> Where | None:
    """The one filter of a query, in our language or Qdrant's."""
    if asked.where is not None and asked.filter is not None:
        raise QueryError("where and filter both say what passes: give one of them.")
    return asked.where if asked.filter is None else asked.filter


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


def parse_json(schema: type[T], text: str, part: str) -> T:
    """Returns a JSON part of a multipart body, validated.

    Args:
        part: name of the part, for error messages.

    Raises:
        RequestValidationError: the part is not JSON or does not match the schema.
    """
    try:
        return TypeAdapter(schema).validate_python(json.loads(text))
    except ValidationError as error:
        errors = [{**entry, "loc": (part, *entry["loc"])} for entry in error.errors()]
        raise RequestValidationError(errors) from None
    except (ValueError, RecursionError) as error:
        message = f"invalid JSON: {error}"
        entry = {"type": "json_invalid", "loc": (part,), "msg": message, "input": None}
        raise RequestValidationError([entry]) from None
