"""The duplicates of one image, from the index or from outside."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from lookalike.duplicates.verdicts import Verdict
from lookalike.errors import NotFound, QueryError
from lookalike.index import Index
from tests.support.pictures import scene


def test_a_file_is_checked_against_the_index(filled: Index, original: Path) -> None:
    duplicates = filled.duplicates_of(original / "scene00.jpg")
    assert [(Path(match.uri).stem, str(match.verdict)) for match in duplicates[:2]] in (
        [("scene00", "identical"), ("scene00 again", "identical")],
        [("scene00 again", "identical"), ("scene00", "identical")],
    )
    rest = {Path(match.uri).stem: str(match.verdict) for match in duplicates[2:]}
    assert rest == {
        "scene00 pixels": "same-pixels",
        "scene00 small": "same-picture",
        "scene00 half": "same-picture",
    }
    assert not duplicates.problems


def test_bytes_are_checked_for_their_pixels(filled: Index, original: Path) -> None:
    encoded = BytesIO()
    Image.open(original / "scene07.jpg").save(encoded, "BMP")
    (match,) = filled.duplicates_of(encoded.getvalue())
    assert (Path(match.uri).stem, match.verdict) == ("scene07", Verdict.SAME_PIXELS)


def test_bytes_from_outside_are_checked_too(filled: Index, original: Path) -> None:
    encoded = BytesIO()
    ImageOps.flip(Image.open(original / "scene05.jpg")).save(encoded, "WEBP", quality=70)
    (match,) = filled.duplicates_of(encoded.getvalue())
    assert (Path(match.uri).stem, match.verdict) == ("scene05", Verdict.SAME_PICTURE)


def test_an_image_of_the_index_is_not_a_duplicate_of_itself(filled: Index, original: Path) -> None:
    duplicates = filled.duplicates_of(id=str(original / "scene02.jpg"))
    assert [Path(match.uri).stem for match in duplicates] == ["scene02 crop"]


def test_an_unrelated_image_has_no_duplicates(filled: Index) -> None:
    encoded = BytesIO()
    scene(99).save(encoded, "JPEG")
    assert list(filled.duplicates_of(encoded.getvalue())) == []


def test_limit_counts_duplicates(filled: Index, original: Path) -> None:
    assert len(filled.duplicates_of(original / "scene00.jpg", limit=2)) == 2


def test_neither_or_both_are_refused(filled: Index, original: Path) -> None:
    with pytest.raises(QueryError, match="either an image or an id"):
        filled.duplicates_of()
    with pytest.raises(QueryError, match="either an image or an id"):
        filled.duplicates_of(original / "scene00.jpg", id="x")
    with pytest.raises(NotFound, match="'x'"):
        filled.duplicates_of(id="x")


def test_an_original_that_is_gone_is_a_problem(index: Index, photos: Path) -> None:
    (photos / "scene00 pixels.png").unlink()
    duplicates = index.duplicates_of(photos / "scene00.jpg")
    verdicts = {Path(match.uri).stem: match.verdict for match in duplicates}
    assert verdicts["scene00 pixels"] is Verdict.SAME_PICTURE
    assert list(duplicates.problems) == [str(photos / "scene00 pixels.png")]


def test_an_image_that_was_deleted_meanwhile_is_similar_to_none(index: Index) -> None:
    one, other, *_ = next(iter(index._engine.scroll()))
    search = index._finder()._search()
    assert search.similar(one, one) is None  # one id, one point
    index.delete([other.id])
    assert search.similar(one, other) is None
