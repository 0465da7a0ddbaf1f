"""Rows with several images: each image has the row's fields, through later runs and pruning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.index import Index
from lookalike.ingest.report import IngestReport
from tests.support.pictures import folder_of


def ids(index: Index) -> dict[str, tuple[str, Any]]:
    """The file and the field `n` of each image, by id."""
    points = [(point.id, point.payload) for point in index.scroll()]
    return {id: (Path(own["image"]["uri"]).name, own.get("n")) for id, own in points}


@pytest.mark.parametrize("first", ["nothing", "files"])
def test_images_of_a_row_come_and_go(tmp_path: Path, first: str) -> None:
    photos = folder_of(tmp_path / "photos", 6)
    with Index.open(tmp_path / "index", model="built-in") as index:

        def add(*rows: str, prune: bool = False) -> IngestReport:
            table = tmp_path / "feed.csv"
            table.write_text("\n".join(["id,image_link,n", *rows]))
            return index.add(photos, metadata=table, prune=prune, yes=prune)

        if first == "files":
            index.add(photos)
        add("p,001.jpg|000.jpg|002.jpg,1", "q,003.jpg,2", "r,000.jpg,3", prune=True)
        assert ids(index) == {
            "p": ("001.jpg", 1),
            "p#2": ("000.jpg", 1),
            "p#3": ("002.jpg", 1),
            "q": ("003.jpg", 2),
            "r": ("000.jpg", 3),
        }
        again = add("p,001.jpg|000.jpg|002.jpg,1", "q,003.jpg,2", "r,000.jpg,3", prune=True)
        assert (again.unchanged, again.done, again.removed) == (5, 5, 0)
        vectors = {
            id: index.get(id, vectors=True).vectors["lookalike-small-1"] for id in ids(index)
        }
        add("p,002.jpg|001.jpg,5", "q,003.jpg,2", "r,000.jpg,3", prune=True)
        assert ids(index) == {
            "p": ("002.jpg", 5),
            "p#2": ("001.jpg", 5),
            "q": ("003.jpg", 2),
            "r": ("000.jpg", 3),
        }
        for now, before in (("p", "p#3"), ("p#2", "p"), ("q", "q"), ("r", "r")):
            found = index.get(now, vectors=True).vectors["lookalike-small-1"]
            assert np.array_equal(found, vectors[before])
