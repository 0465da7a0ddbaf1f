"""Buckets by their addresses."""

from __future__ import annotations

import importlib.util
import os
from functools import lru_cache

from lookalike.errors import SourceError
from lookalike.sources._object_store import Bucket


def open_bucket(
    scheme: str, name: str, endpoint: str | None = None, *, anonymous: bool = False
) -> Bucket:
    """Opens a bucket, without a request to it; for the arguments see `Bucket`.

    Raises:
        SourceError: a library is missing, or the endpoint is not a URL.
    """
    if importlib.util.find_spec("obstore") is None:
        raise SourceError(f"{scheme}:// addresses need a library: pip install 'lookalike[cloud]'.")
    return _bucket(scheme, name, endpoint, anonymous, _environment())


@lru_cache(16)
def _bucket(
    scheme: str, name: str, endpoint: str | None, anonymous: bool, environment: tuple[str, ...]
) -> Bucket:
    """A bucket, whose connections serve the reads of many single images."""
    return Bucket(scheme, name, endpoint, anonymous)


def _environment() -> tuple[str, ...]:
    """All variables that may name credentials or an endpoint."""
    prefixes = ("AWS_", "AZURE_", "GOOGLE_")
    return tuple(
        f"{name}={value}" for name, value in os.environ.items() if name.startswith(prefixes)
    )
