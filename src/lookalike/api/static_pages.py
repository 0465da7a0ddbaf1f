"""The page: a static export of Next.js, served as it lies there."""

from __future__ import annotations

import base64
import hashlib
import os
import re
from mimetypes import guess_type
from pathlib import Path

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from lookalike.api.middleware.headers import page_policy

_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL)
_ENCODINGS = {"br": ".br", "gzip": ".gz"}
_FOREVER = "public, max-age=31536000, immutable"


class Pages(StaticFiles):
    """Files of the export: `/duplicates` is `duplicates.html`, what is not there `404.html`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)
        self.config_checked = True  # without an export there is no page, and the API all the same
        self._folder = folder.resolve()
        self._policies = {
            str(page): page_policy(inline_scripts(page.read_bytes()))
            for page in self._folder.rglob("*.html")
        }

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path.partition(os.sep)[0] == "v1":  # whoever calls the API wants no page
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        if isinstance(response, FileResponse) and response.status_code == 404:
            response.headers["content-security-policy"] = self._policies[str(response.path)]
        return response

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        found, status = super().lookup_path(path)
        page = super().lookup_path(f"{path}.html")
        return page if page[1] is not None else (found, status)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        path = os.fspath(full_path)
        encoding = _accepted(path, Headers(scope=scope))
        served = path + _ENCODINGS.get(encoding, "")
        response = super().file_response(served, Path(served).stat(), scope, status_code)
        if "content-type" in response.headers:  # a 304 has none
            response.headers["content-type"] = _type(path)
        if encoding:
            response.headers["content-encoding"] = encoding
        response.headers["vary"] = "Accept-Encoding"
        hashed = f"{os.sep}_next{os.sep}static{os.sep}" in path
        response.headers["cache-control"] = _FOREVER if hashed else "no-cache"
        if path in self._policies:
            response.headers["content-security-policy"] = self._policies[path]
        return response


def inline_scripts(page: bytes) -> list[str]:
    """The SHA-256 of each script that stands in a page, in base64, as its policy names it."""
    digests = (hashlib.sha256(script).digest() for script in _SCRIPT.findall(page) if script)
    return list(dict.fromkeys(base64.b64encode(digest).decode() for digest in digests))


def _accepted(path: str, headers: Headers) -> str:
    """The encoding that there is a file of, and that the browser takes; "" for none."""
    wanted = headers.get("accept-encoding", "")
    for encoding, ending in _ENCODINGS.items():
        if re.search(rf"\b{encoding}\b(?!;\s*q=0(?![.]\d*[1-9]))", wanted) and os.path.exists(  # noqa: PTH110 -- names are texts here
            path + ending
        ):
            return encoding
    return ""


def _type(path: str) -> str:
    kind = guess_type(path)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
