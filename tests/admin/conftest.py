"""Indexes, a backup, and engines that are closed at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike.admin.copy import NamedEngine, backup
from lookalike.engines.edge.engine import EdgeEngine
from tests.admin.indexes import COUNT, fill


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of more than two batches; no test changes it."""
    return fill(tmp_path_factory.mktemp("large") / "index", COUNT)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("small") / "index", 120)


@pytest.fixture(scope="module")
def saved(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of `small`."""
    file = tmp_path_factory.mktemp("saved") / "shop.backup"
    engine = EdgeEngine(small)
    backup(NamedEngine("shop", engine), file)
    engine.close()
    return file


@pytest.fixture
def place() -> Iterator[Callable[[Path], NamedEngine]]:
    """Opens each folder once, and closes all of them at the end."""
    opened: dict[Path, EdgeEngine] = {}

    def at(folder: Path) -> NamedEngine:
        return NamedEngine(str(folder), opened.setdefault(folder, EdgeEngine(folder)))

    yield at
    for engine in opened.values():
        engine.close()
