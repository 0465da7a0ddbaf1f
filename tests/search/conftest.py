"""Indexes shared by the tests of searches; no test leaves one changed."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lookalike.index import Index
from tests.search.indexes import (
    DRAWN,
    Floats,
    Shop,
    fill,
)
from tests.support.pictures import folder_of


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    folder = tmp_path_factory.mktemp("shop")
    photos = folder_of(folder / "photos", DRAWN)
    PIL.Image.open(photos / "003.jpg").save(photos / "copy.jpg", quality=80)
    shutil.copy(photos / "005.jpg", photos / "twin.jpg")
    rows = [(f"sku-{i}", f"{i:03}.jpg", i) for i in range(DRAWN)]
    rows += [("sku-copy", "copy.jpg", 1000), ("sku-twin", "twin.jpg", 1001)]
    with (folder / "catalog.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("id", "file", "n"), *rows])
    with Index.open(folder / "index", model="built-in") as index:
        index.add(photos, metadata=folder / "catalog.csv")
        yield Shop(index, photos)


@pytest.fixture(scope="session")
def words(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """Real photos, 12 each of six kinds, indexed with a model that supports text."""
    folder = tmp_path_factory.mktemp("words")
    (folder / "photos").mkdir()
    with (data / "photos" / "labels.csv").open() as file:
        labels = list(csv.DictReader(file))
    for kind in ("pizza", "watch", "rhino", "sunflower", "scissors", "pigeon"):
        for row in [row for row in labels if row["label"] == kind][:12]:
            name = f"{kind}-{row['id']}.jpg"
            shutil.copy(data / "photos" / row["file"], folder / "photos" / name)
    with Index.open(folder / "index", model_dir=data / "standin-clip") as index:
        index.add(folder / "photos")
        yield Shop(index, folder / "photos")


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """2,500 points: in "semantic" 0 to 1999 crowd around one direction, the others around another
    that is a little further from the first axis."""
    rng = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("many")
    with Index.open(folder / "index", model="built-in") as index:
        sizes = {
            a: index._manifest.vectors[name].size for a, name in index._manifest.aspects.items()
        }

        def vectors(i: int) -> dict[str, Floats]:
            made: dict[str, Floats] = {a: rng.standard_normal(n) for a, n in sizes.items()}
            made["semantic"] *= 0.005
            made["semantic"][:3] += (1, 0.5, 0) if i < 2000 else (1, 0, 0.7)
            return made

        fill(index, vectors, 2500)
        yield Shop(index, folder)
