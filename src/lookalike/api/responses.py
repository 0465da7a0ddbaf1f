"""Responses: JSON documents, and JPEGs that browsers may cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse


class Document(JSONResponse):
    """JSON whatever texts it holds: half a surrogate pair is written as its escape."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


KEPT_SECONDS = 3600
"""How long a browser shows a picture without asking again."""


class JPEG(Response):
    """A picture that was encoded here: it has no metadata."""

    media_type = "image/jpeg"


def jpeg(request: Request, tag: str, make: Callable[[], bytes]) -> Response:
    """A picture, or word that the one which the browser has is still the same.

    Args:
        tag: changes whenever the picture does.
        make: encodes it.
    """
    headers = {"ETag": f'"{tag}"', "Cache-Control": f"private, max-age={KEPT_SECONDS}"}
    known = {one.strip().removeprefix("W/") for one in _none_match(request).split(",")}
    if known & {headers["ETag"], "*"}:
        return Response(status_code=304, headers=headers)
    return JPEG(make(), headers=headers)


def _none_match(request: Request) -> str:
    return request.headers.get("if-none-match", "")
