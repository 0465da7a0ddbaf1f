"""A service over a small index, one per test module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lookalike.index import Index
from tests.support.api_server import options, serving, small_index


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service: its images, its index, its state."""
    return tmp_path_factory.mktemp("service")


@pytest.fixture(scope="module")
def index(folder: Path, request: pytest.FixtureRequest) -> Iterator[Index]:
    """An index of drawn images, as many as the module's `IMAGES` says."""
    with small_index(folder, getattr(request.module, "IMAGES", 8)) as index:
        yield index


@pytest.fixture(scope="module")
def client(index: Index, folder: Path) -> Iterator[httpx.Client]:
    """A client of the service, which has no keys."""
    with serving(index, options(folder)) as client:
        yield client
