"""Photos of the shared test data."""

from __future__ import annotations

import csv
from pathlib import Path

import PIL.Image
import pytest

COUNT = 12


@pytest.fixture(scope="package")
def photos(data: Path) -> list[PIL.Image.Image]:
    """Garments, animals, things and shelves, each of another kind."""
    chosen = []
    for table, kind in (("catalog/catalog.csv", "category"), ("photos/labels.csv", "label")):
        with (data / table).open(newline="") as file:
            of_kind = {row[kind]: row for row in csv.DictReader(file)}
        chosen += [data / table.split("/")[0] / row["file"] for row in of_kind.values()][:COUNT]
    return [PIL.Image.open(path).convert("RGB") for path in chosen[:: len(chosen) // COUNT]]
