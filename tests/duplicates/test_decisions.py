"""Decisions are respected until they are forgotten or a file is edited."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from lookalike.duplicates.verdicts import Verdict
from lookalike.errors import InputError, NotFound
from lookalike.index import Index
from lookalike.types import Decision
from tests.duplicates.scenes import by_keeper


@pytest.mark.parametrize("decision", list(Decision))
def test_a_decision_is_respected_from_then_on(
    index: Index, photos: Path, decision: Decision
) -> None:
    pair = [str(photos / "scene02.jpg"), str(photos / "scene02 crop.jpg")]
    index.decide(pair, decision)
    assert set(by_keeper(index.duplicates())) == {"scene00", "scene01"}
    assert list(index.duplicates_of(id=pair[0])) == []
    for id in pair:  # even after they are moved and indexed again
        shutil.move(id, Path(id).with_name("moved " + Path(id).name))
        index.add(photos, prune=True)
        assert set(by_keeper(index.duplicates())) == {"scene00", "scene01"}


def test_a_decision_can_be_forgotten(index: Index, photos: Path) -> None:
    pair = [str(photos / "scene02.jpg"), str(photos / "scene02 crop.jpg")]
    index.decide(pair, Decision.KEEP_ALL)
    index.decide(pair, None)
    assert "scene02" in by_keeper(index.duplicates())


def test_equal_files_can_be_kept(index: Index, photos: Path) -> None:
    pair = [str(photos / "scene00.jpg"), str(photos / "scene00 again.jpg")]
    index.decide(pair, Decision.KEEP_ALL)
    for match in index.duplicates_of(id=pair[0]):
        assert match.verdict is not Verdict.IDENTICAL


def test_a_decision_ends_where_a_picture_is_edited(index: Index, photos: Path) -> None:
    pair = [photos / "scene02.jpg", photos / "scene02 crop.jpg"]
    index.decide([str(file) for file in pair], Decision.NOT_DUPLICATES)
    Image.open(pair[1]).save(pair[1], quality=50)
    index.add(photos)
    assert "scene02" in by_keeper(index.duplicates())


def test_a_decision_needs_two_images(index: Index, photos: Path) -> None:
    one = str(photos / "scene02.jpg")
    with pytest.raises(InputError, match="at least two images"):
        index.decide([one, one], Decision.KEEP_ALL)
    with pytest.raises(NotFound, match="nobody"):
        index.decide([one, "nobody"], Decision.KEEP_ALL)


def test_an_id_given_twice_counts_once(index: Index, photos: Path) -> None:
    """It is not decided upon against itself: an equal file is still its duplicate."""
    one, other = str(photos / "scene00.jpg"), str(photos / "scene02.jpg")
    index.decide([one, one, other], Decision.KEEP_ALL)
    (again, *_) = index.duplicates_of(id=one)
    assert (Path(again.uri).stem, again.verdict) == ("scene00 again", Verdict.IDENTICAL)
