"""Documents on one template are no copies of each other; their own copies are found."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
from benchmarks._documents import DOCUMENTS, Picture, meme, printed

from lookalike.index import Index

COUNT = 5


def one_fast(cases: Iterable[Any]) -> list[Any]:
    """The cases, of which all but the first are slow tests."""
    first, *others = cases
    return [first, *(pytest.param(one, marks=pytest.mark.slow) for one in others)]


def saved(folder: Path, draw: Callable[[int], Picture]) -> Path:
    folder.mkdir()
    for number in range(COUNT):
        draw(number).save(folder / f"{number}.png")
    return folder


@pytest.mark.parametrize("kind", one_fast(DOCUMENTS))
def test_documents_on_one_template_are_no_copies(tmp_path: Path, kind: str) -> None:
    folder = saved(tmp_path / "documents", DOCUMENTS[kind])
    DOCUMENTS[kind](0).convert("RGB").save(folder / "0 copy.jpg", quality=70)
    half = DOCUMENTS[kind](1)
    half.resize((half.width // 2, half.height // 2)).save(folder / "1 half.png")
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        groups = sorted(
            sorted(Path(one.uri).stem for one in group.members) for group in index.duplicates()
        )
        assert groups == [["0", "0 copy"], ["1", "1 half"]]


def test_documents_are_not_left_out_at_ingest(tmp_path: Path) -> None:
    folder = saved(tmp_path / "documents", DOCUMENTS["slide"])
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder, copies="skip")
        assert len(index) == COUNT


@pytest.mark.parametrize("draw", one_fast([printed, meme]))
def test_another_text_or_print_on_one_photo_is_no_copy(
    data: Path, tmp_path: Path, draw: Callable[[Picture, int], Picture]
) -> None:
    photo = PIL.Image.open(sorted((data / "catalog" / "images" / "t-shirt").glob("*.jpg"))[3])
    folder = saved(tmp_path / "pictures", lambda number: draw(photo, number))
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        assert not list(index.duplicates())
        photo.save(tmp_path / "original.jpg")
        verdicts = {str(one.verdict) for one in index.duplicates_of(tmp_path / "original.jpg")}
        assert verdicts == {"same-picture"}  # each is an edited copy of the photo
