"""Groups of duplicates: complete, confirmed against their keepers, and nothing else in them."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from lookalike.duplicates.verdicts import Verdict
from lookalike.index import Index
from tests.duplicates.scenes import EXPECTED_GROUPS, by_keeper, verdicts_by_name
from tests.support.pictures import folder_of, scene


def test_every_copy_is_in_the_group_of_its_original(filled: Index) -> None:
    groups = by_keeper(filled.duplicates())
    verdicts = {name: verdicts_by_name(group) for name, group in groups.items()}
    assert verdicts == EXPECTED_GROUPS
    assert groups["scene01"].verdict is Verdict.SAME_PICTURE


def test_the_keeper_comes_first_and_says_why(filled: Index) -> None:
    for group in filled.duplicates():
        assert group.members[0].id == group.keeper
        assert group.reason == "largest: 480 × 360"
        assert len(group.copies) == len(group.members) - 1


def test_evidence_says_what_was_done(filled: Index) -> None:
    why = {
        Path(copy.uri).stem: copy.evidence["why"]
        for group in filled.duplicates()
        for copy in group.copies
    }
    assert why["scene00 pixels"] == "the same pixels in another file"
    assert why["scene00 half"] == "480 × 360 → 240 × 180"
    assert why["scene01 mirror"] == "mirrored"
    assert why["scene01 turned"] == "rotated by 270°"
    assert why["scene02 crop"].startswith("cropped to 7")


def test_where_limits_the_images_that_are_considered(filled: Index) -> None:
    groups = list(filled.duplicates(where='image.format = "JPEG"'))
    assert {Path(m.uri).suffix for group in groups for m in group.members} == {".jpg"}
    assert len(groups) == 3


def test_plain_and_tiny_pictures_are_copies_of_none(tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    for i, color in enumerate(("white", "black", "red", "#808080")):
        Image.new("RGB", (300 + i, 200), color).save(folder / f"plain{i}.png")
        Image.new("RGB", (2 + i, 2), color).save(folder / f"tiny{i}.png")
        Image.linear_gradient("L").resize((200 + i, 200)).rotate(90 * i).save(
            folder / f"gradient{i}.png"
        )
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        for group in index.duplicates():
            kinds = {Path(member.uri).stem[:4] for member in group.members}
            assert kinds == {"grad"}, "unrelated plain pictures are in one group"


@pytest.mark.parametrize("count", [300, pytest.param(10_000, marks=pytest.mark.slow)])
def test_thousands_of_equal_files_are_one_group(tmp_path: Path, count: int) -> None:
    folder = folder_of(tmp_path / "photos", 3)
    equal = scene(1)
    equal.save(folder / "first.jpg")
    content = (folder / "first.jpg").read_bytes()
    for i in range(count):
        (folder / f"copy{i:05}.jpg").write_bytes(content)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        (group,) = index.duplicates()
        assert len(group.members) == count + 1
        assert {member.verdict for member in group.members} == {Verdict.IDENTICAL}
        assert len(index.duplicates_of(folder / "first.jpg", limit=50)) == 50


def test_an_original_that_is_gone_is_reported_and_its_group_survives(
    index: Index, photos: Path
) -> None:
    (photos / "scene00 pixels.png").unlink()
    groups = index.duplicates()
    first = by_keeper(groups)["scene00"]
    assert verdicts_by_name(first) == {
        **EXPECTED_GROUPS["scene00"],
        "scene00 pixels": "same-picture",
    }
    assert list(groups.problems) == [str(photos / "scene00 pixels.png")]


def test_problems_are_known_as_soon_as_their_group(index: Index, photos: Path) -> None:
    (photos / "scene00 pixels.png").unlink()
    groups = index.duplicates()
    assert not groups.problems
    for group in groups:
        if Path(group.keeper).stem == "scene00":
            assert list(groups.problems) == [str(photos / "scene00 pixels.png")]
