"""Security headers of every response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send

from lookalike.api.service import Options

# --- headers --------------------------------------------------------------------------------

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=()",
}
_NOTHING = "default-src 'none'; frame-ancestors 'none'"
"""The policy of what is no page."""


def page_policy(scripts: Sequence[str]) -> str:
    """The content security policy of a page with these inline scripts, as SHA-256 in base64."""
    hashes = "".join(f" 'sha256-{one}'" for one in scripts)
    return (
        f"default-src 'none'; script-src 'self'{hashes}; style-src 'self'; "
        "img-src 'self' blob: data:; font-src 'self'; connect-src 'self'; media-src blob:; "
        "manifest-src 'self'; worker-src 'self'; form-action 'self'; base-uri 'none'; "
        "frame-ancestors 'none'"
    )


class SecurityHeaders:
    """Adds to every response what keeps browsers from being used against it."""

    def __init__(self, app: ASGIApp, *, options: Options) -> None:
        self._app = app
        # Images may be shown by pages of other origins only where these may call at all.
        policy = "cross-origin" if options.cors else "same-origin"
        self._headers = {**_HEADERS, "Cross-Origin-Resource-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                there = {name.lower() for name, _ in message["headers"]}
                own = {**self._headers, "Content-Security-Policy": _NOTHING}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in own.items()
                        if name.lower().encode() not in there
                    ),
                ]
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)
