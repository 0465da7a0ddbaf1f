"""Fixtures that all tests share. Nothing here stands in for our own code."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.index import Index
from tests.support.paths import DATA
from tests.support.pictures import folder_of


@pytest.fixture(scope="session")
def data() -> Path:
    """Real photos, hostile files and the stand-in model; see its README."""
    if not DATA.is_dir():
        pytest.skip(f"needs the shared test data at {DATA}, which is not there")
    return DATA


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of twelve drawn images: 000.jpg, 001.jpg, …"""
    return folder_of(tmp_path / "photos", 12)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    """An empty index with the built-in model."""
    with Index.open(tmp_path / "index", model="built-in") as opened:
        yield opened
