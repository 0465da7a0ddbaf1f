"""Marks are compared alike in either order, and tell a caption from other words."""

from __future__ import annotations

import numpy as np
import PIL.Image
import pytest
from benchmarks._documents import meme

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
