"""The HTTP service: `create_app(index, options)` makes a FastAPI application of an index."""

from lookalike.api.app import create_app
from lookalike.api.service import Options

__all__ = ["Options", "create_app"]
