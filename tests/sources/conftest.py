"""Fixtures of the tests of sources."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.object_stores import seaweed


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An object store, for buckets of different names."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as address:
        yield address
