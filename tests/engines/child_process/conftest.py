"""An index without a graph, and an engine on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.edge.process import SubprocessEngine
from lookalike.types import (
    FieldType,
)
from tests.engines.child_process.helpers import (
    COUNT,
    SPECS,
    fill,
)
from tests.support.indexes import copied


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index without a graph, made by an embedded engine."""
    folder = tmp_path_factory.mktemp("filled") / "index"
    with closing(EdgeEngine(folder)) as engine:
        engine.create(SPECS)
        engine.create_field_index("kind", FieldType.KEYWORD)
        engine.create_field_index("image.uri", FieldType.KEYWORD)
        engine.write_manifest({"schema": 1})
        fill(engine, COUNT)
    return folder


@pytest.fixture
def folder(filled: Path, tmp_path: Path) -> Path:
    return copied(filled, tmp_path / "index")


@pytest.fixture
def engine(folder: Path) -> Iterator[SubprocessEngine]:
    with closing(SubprocessEngine(folder)) as made:
        yield made
