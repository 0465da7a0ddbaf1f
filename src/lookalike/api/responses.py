"""Response types: JSON documents, and JPEGs that browsers may cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse


class Document(JSONResponse):
    """JSON that may hold any string: a lone surrogate is written as its escape."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")


CACHE_SECONDS = 3600
"""Seconds for which a browser shows an image without revalidating it."""


class JPEG(Response):
    """A JPEG that was encoded here and holds no metadata."""

    media_type = "image/jpeg"


def jpeg(request: Request, tag: str, encode: Callable[[], bytes]) -> Response:
    """Returns an image, or 304 where the browser's copy is current.

    Args:
        tag: changes whenever the image does.
        encode: makes the JPEG.
    """
    headers = {"ETag": f'"{tag}"', "Cache-Control": f"private, max-age={CACHE_SECONDS}"}
    cached = request.headers.get("if-none-match", "").split(",")
    if {entry.strip().removeprefix("W/") for entry in cached} & {headers["ETag"], "*"}:
        return Response(status_code=304, headers=headers)
    return JPEG(encode(), headers=headers)
