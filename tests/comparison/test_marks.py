"""Marks are compared alike in either order, and tell a caption from other words."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from benchmarks._documents import meme, printed
from benchmarks._transforms import TRANSFORMS

from lookalike.comparison.full_size import full_size_alignment
from lookalike.comparison.marks import MarkChanges, mark_changes
from tests.comparison.edits import Picture
from tests.support.pictures import scene


def changes(first: Picture, second: Picture) -> MarkChanges:
    one, other = np.asarray(first.convert("RGB")), np.asarray(second.convert("RGB"))
    matrix = full_size_alignment(one, other)
    assert matrix is not None
    return mark_changes(one, other, matrix)


def resized(picture: Picture, factor: float) -> Picture:
    size = round(picture.width * factor), round(picture.height * factor)
    return picture.resize(size, PIL.Image.Resampling.LANCZOS)


def shifted(picture: Picture) -> Picture:
    return picture.crop((1, 1, picture.width, picture.height))


@pytest.mark.parametrize("factor", [1.0, 0.998, 0.7])
def test_the_order_of_two_pictures_does_not_matter(factor: float) -> None:
    first, second = meme(scene(3), 0), resized(meme(scene(3), 1), factor)
    found = changes(first, second)
    assert found == changes(second, first)
    assert found.changed > 10


def test_a_shift_by_a_pixel_changes_no_marks_and_other_words_do() -> None:
    picture, other = meme(scene(3), 0).convert("RGB"), meme(scene(3), 1).convert("RGB")
    identity = np.array([[1.0, 0, 0], [0, 1, 0]])
    same = mark_changes(np.asarray(picture), np.asarray(shifted(picture)), identity)
    assert same.is_unchanged
    assert same.marked > 100
    assert changes(picture, other).is_other_content
    assert not changes(picture, scene(3)).is_other_content


def test_a_logo_on_a_garment_is_no_other_print(data: Path) -> None:
    """The badge covers much of what little there is, and shows letters of its own."""
    name = "9b9b54db-07bf-42de-8538-9de0a3b5b49d.jpg"
    with PIL.Image.open(data / "catalog" / "images" / "shorts" / name) as garment:
        (logo,) = (transform for transform in TRANSFORMS if transform.name == "logo")
        stamped = PIL.Image.open(BytesIO(logo(garment, 1181)))
        found = changes(garment, stamped)
        assert found.conflicting + found.exchanged > 0.08 * found.marked
        assert not found.is_other_content
        assert changes(printed(garment, 0), printed(garment, 1)).is_other_content
