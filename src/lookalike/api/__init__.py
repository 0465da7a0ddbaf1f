"""The HTTP service: `create_app(index, options)` makes a FastAPI application for an index.

It loads with its first use, so that the MCP server beside it needs no FastAPI.
"""

from typing import TYPE_CHECKING, Any

from lookalike.api.options import Options

if TYPE_CHECKING:
    from lookalike.api.app import create_app

__all__ = ["Options", "create_app"]


def __getattr__(name: str) -> Any:
    if name == "create_app":
        from lookalike.api.app import create_app

        return create_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
