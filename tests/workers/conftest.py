"""Fixtures for the tests of decoder processes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lookalike.workers.pool import DecoderPool


@pytest.fixture
def pool() -> Iterator[DecoderPool]:
    with DecoderPool(2) as pool:
        yield pool
