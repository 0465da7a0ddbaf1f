"""The HTTP service: `create_app(index, options)` makes a FastAPI application for an index."""

from lookalike.api.app import create_app
from lookalike.api.options import Options

__all__ = ["Options", "create_app"]
