"""Security headers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.api.options import Options

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}
_API_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""The content security policy of everything but HTML pages."""


def page_policy(scripts: Sequence[str]) -> str:
    """Returns the content security policy of a page with these inline scripts.

    Args:
        scripts: base64 SHA-256 of each script.
    """
    hashes = "".join(f" 'sha256-{digest}'" for digest in scripts)
    return (
        f"default-src 'none'; script-src 'self'{hashes}; style-src 'self'; "
        "img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; media-src blob:; "
        "manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


class SecurityHeadersMiddleware:
    """Adds security headers to every response; a header that a response already has stays."""

    def __init__(self, app: ASGIApp, *, options: Options) -> None:
        self._app = app
        # Pages of other origins may embed images only where they may call the API.
        resource_policy = "cross-origin" if options.cors else "same-origin"
        headers = {
            **_HEADERS,
            "Cross-Origin-Resource-Policy": resource_policy,
            "Content-Security-Policy": _API_POLICY,
        }
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                present = {name.lower() for name, _ in message["headers"]}
                missing = [header for header in self._headers if header[0] not in present]
                message["headers"] = [*message["headers"], *missing]
            await send(message)

        await self._app(scope, receive, send_with_headers if scope["type"] == "http" else send)
