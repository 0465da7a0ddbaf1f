"""Folders of scenes with copies, and indexes of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.index import Index
from tests.duplicates.scenes import draw_scenes
from tests.support.indexes import copied, restored


@pytest.fixture(scope="package")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenes that no test changes."""
    folder = tmp_path_factory.mktemp("originals")
    draw_scenes(folder)
    return folder


@pytest.fixture(scope="package")
def filled(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """An index that no test changes."""
    with Index.open(tmp_path_factory.mktemp("index") / "index", model="built-in") as index:
        index.add(original)
        yield index


@pytest.fixture(scope="package")
def template(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `template` beside `home`; both have the photos and their index at `home`."""
    home = tmp_path_factory.mktemp("homes") / "home"
    copied(original, home / "photos")
    with Index.open(home / "index", model="built-in") as made:
        made.add(home / "photos")
    return copied(home, home.with_name("template"))


@pytest.fixture
def photos(template: Path) -> Path:
    """A folder of the test's own, whose index is beside it."""
    return restored(template, template.with_name("home")) / "photos"


@pytest.fixture
def index(photos: Path) -> Iterator[Index]:
    """An index of the test's own."""
    with Index.open(photos.with_name("index")) as made:
        yield made


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Files in two folders, both with an a.jpg."""
    root = tmp_path / "folders"
    for name in ("one/a.jpg", "one/b.jpg", "two/a.jpg", "two/deep/c.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(f"the bytes of {name}".encode() * 1000)
    return root
