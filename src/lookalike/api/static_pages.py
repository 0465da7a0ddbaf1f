"""The web page: a static export of Next.js."""

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
_IMMUTABLE = "public, max-age=31536000, immutable"


class StaticPages(StaticFiles):
    """Files of the export: `/duplicates` is `duplicates.html`, a missing page is `404.html`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(directory=folder, html=True, check_dir=False)
        self.config_checked = True  # without an export, the API still works
        self._folder = folder.resolve()
        self._policies = {
            str(page): page_policy(inline_scripts(page.read_bytes()))
            for page in self._folder.rglob("*.html")
        }

    async def get_response(self, path: str, scope: Scope) -> Response:
        if path.partition(os.sep)[0] == "v1":  # API clients expect no page
            raise HTTPException(404)
        response = await super().get_response(path, scope)
        if isinstance(response, FileResponse) and response.status_code == 404:
            response.headers["content-security-policy"] = self._policies[str(response.path)]
        return response

    def lookup_path(self, path: str) -> tuple[str, os.stat_result | None]:
        page = super().lookup_path(f"{path}.html")
        return page if page[1] is not None else super().lookup_path(path)

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        path = os.fspath(full_path)
        encoding = _encoding(path, Headers(scope=scope))
        file = path + _ENCODINGS.get(encoding, "")
        response = super().file_response(file, Path(file).stat(), scope, status_code)
        if "content-type" in response.headers:  # a 304 has none
            response.headers["content-type"] = _content_type(path)
        if encoding:
            response.headers["content-encoding"] = encoding
        response.headers["vary"] = "Accept-Encoding"
        hashed = f"{os.sep}_next{os.sep}static{os.sep}" in path
        response.headers["cache-control"] = _IMMUTABLE if hashed else "no-cache"
        if path in self._policies:
            response.headers["content-security-policy"] = self._policies[path]
        return response


def inline_scripts(page: bytes) -> list[str]:
    """Returns the base64 SHA-256 of each inline script of a page, as its policy lists them."""
    digests = (hashlib.sha256(script).digest() for script in _SCRIPT.findall(page) if script)
    return list(dict.fromkeys(base64.b64encode(digest).decode() for digest in digests))


def _encoding(path: str, headers: Headers) -> str:
    """Returns the best encoding that the browser accepts and a file exists in; "" for none."""
    accepted = headers.get("accept-encoding", "")
    for encoding, suffix in _ENCODINGS.items():
        refused = r"(?!;\s*q=0(?![.]\d*[1-9]))"
        if re.search(rf"\b{encoding}\b{refused}", accepted) and os.path.exists(path + suffix):  # noqa: PTH110 -- names are strings here
            return encoding
    return ""


def _content_type(path: str) -> str:
    kind = guess_type(path)[0] or "application/octet-stream"
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
