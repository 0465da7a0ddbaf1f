"""Fixtures that all tests share. Nothing here stands in for our own code."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.index import Index
from tests.support import kept_decoders, no_sync
from tests.support.paths import DATA
from tests.support.pictures import folder_of


def pytest_configure(config: pytest.Config) -> None:
    """Lets no process of the tests wait for the disk: those that run tests with `-n`, and all that
    tests start."""
    folder = tempfile.TemporaryDirectory()
    config.add_cleanup(folder.cleanup)
    if "LD_PRELOAD" not in os.environ and (library := no_sync.library(Path(folder.name))):
        os.environ["LD_PRELOAD"] = str(library)


@pytest.fixture(scope="session", autouse=True)
def decoders() -> Iterator[None]:
    with kept_decoders.keeping():
        yield


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
