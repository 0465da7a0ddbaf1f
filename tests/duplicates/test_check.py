"""Copies are found, graded and grouped; decisions are remembered; nothing else is called a copy."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from lookalike.comparison import codec
from lookalike.duplicates.groups import DuplicateGroup
from lookalike.duplicates.verdicts import Verdict
from lookalike.errors import InputError, NotFound, QueryError
from lookalike.index import Index
from lookalike.types import Decision, Payload
from tests.support.pictures import folder_of, scene

SCENES = 12


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of scenes with copies of the first four of them."""
    folder = tmp_path_factory.mktemp("originals")
    for i in range(SCENES):
        scene(i).save(folder / f"scene{i:02}.jpg", quality=92)
    first = Image.open(folder / "scene00.jpg")
    shutil.copy(folder / "scene00.jpg", folder / "scene00 again.jpg")
    first.save(folder / "scene00 pixels.png")
    first.save(folder / "scene00 small.jpg", quality=60)
    first.resize((240, 180)).save(folder / "scene00 half.jpg", quality=80)
    second = Image.open(folder / "scene01.jpg")
    ImageOps.mirror(second).save(folder / "scene01 mirror.jpg", quality=85)
    second.rotate(90, expand=True).save(folder / "scene01 turned.jpg", quality=85)
    third = Image.open(folder / "scene02.jpg")
    third.crop((40, 30, 460, 350)).save(folder / "scene02 crop.jpg", quality=85)
    return folder


@pytest.fixture(scope="module")
def filled(original: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    """For tests that only read."""
    with Index.open(tmp_path_factory.mktemp("index") / "index", model="built-in") as index:
        index.add(original)
        yield index


@pytest.fixture
def photos(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "photos"))


@pytest.fixture
def index(photos: Path, tmp_path: Path) -> Iterator[Index]:
    with Index.open(tmp_path / "index", model="built-in") as made:
        made.add(photos)
        yield made


def names(group: DuplicateGroup) -> dict[str, str]:
    return {Path(member.uri).stem: str(member.verdict) for member in group.members}


def by_keeper(groups: Iterator[DuplicateGroup]) -> dict[str, DuplicateGroup]:
    return {Path(group.keeper).stem: group for group in groups}


FOUND = {
    "scene00": {
        "scene00": "identical",
        "scene00 again": "identical",
        "scene00 pixels": "same-pixels",
        "scene00 small": "same-picture",
        "scene00 half": "same-picture",
    },
    "scene01": {
        "scene01": "identical",
        "scene01 mirror": "same-picture",
        "scene01 turned": "same-picture",
    },
    "scene02": {"scene02": "identical", "scene02 crop": "same-picture"},
}


def test_every_copy_is_in_the_group_of_its_original(filled: Index) -> None:
    groups = by_keeper(filled.duplicates())
    assert {name: names(group) for name, group in groups.items()} == FOUND
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


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("first", "scene00 again"),
        ("oldest", "scene00"),
        ("best", "scene00"),
        (lambda payload: -payload["image"]["bytes"], "scene00 half"),
    ],
)
def test_a_policy_chooses_the_keeper(index: Index, photos: Path, keep: object, kept: str) -> None:
    for age, name in enumerate(("scene00", "scene00 again", "scene00 small", "scene00 half")):
        os.utime(photos / f"{name}.jpg", (10**9 + age, 10**9 + age))
    index.delete([point.id for point in index.scroll()])
    index.add(photos)
    groups = [group for group in index.duplicates(keep=keep) if "scene00" in group.keeper]  # type: ignore[arg-type]
    assert [Path(group.keeper).stem for group in groups] == [kept]
    assert len(groups[0].members) == 5


def test_an_unknown_policy_is_refused_at_once(filled: Index) -> None:
    with pytest.raises(
        InputError, match=r"biggest. is not a keep policy.*largest, oldest, best, first"
    ):
        filled.duplicates(keep="biggest")


def test_where_limits_what_is_looked_at(filled: Index) -> None:
    groups = list(filled.duplicates(where='image.format = "JPEG"'))
    assert {Path(m.uri).suffix for group in groups for m in group.members} == {".jpg"}
    assert len(groups) == 3


# --- one image ------------------------------------------------------------------------------


def test_a_file_is_checked_against_the_index(filled: Index, original: Path) -> None:
    matches = filled.duplicates_of(original / "scene00.jpg")
    assert [(Path(match.uri).stem, str(match.verdict)) for match in matches[:2]] in (
        [("scene00", "identical"), ("scene00 again", "identical")],
        [("scene00 again", "identical"), ("scene00", "identical")],
    )
    rest = {Path(match.uri).stem: str(match.verdict) for match in matches[2:]}
    assert rest == {
        "scene00 pixels": "same-pixels",
        "scene00 small": "same-picture",
        "scene00 half": "same-picture",
    }


def test_bytes_are_checked_for_their_pixels(filled: Index, original: Path) -> None:
    encoded = BytesIO()
    Image.open(original / "scene07.jpg").save(encoded, "BMP")
    (match,) = filled.duplicates_of(encoded.getvalue())
    assert (Path(match.uri).stem, match.verdict) == ("scene07", Verdict.SAME_PIXELS)


def test_bytes_from_nowhere_are_checked_too(filled: Index, original: Path) -> None:
    encoded = BytesIO()
    ImageOps.flip(Image.open(original / "scene05.jpg")).save(encoded, "WEBP", quality=70)
    (match,) = filled.duplicates_of(encoded.getvalue())
    assert (Path(match.uri).stem, match.verdict) == ("scene05", Verdict.SAME_PICTURE)


def test_an_image_of_the_index_is_no_match_of_itself(filled: Index, original: Path) -> None:
    matches = filled.duplicates_of(id=str(original / "scene02.jpg"))
    assert [Path(match.uri).stem for match in matches] == ["scene02 crop"]


def test_what_is_in_no_way_a_copy_has_no_matches(filled: Index) -> None:
    encoded = BytesIO()
    scene(99).save(encoded, "JPEG")
    assert len(filled.duplicates_of(encoded.getvalue())) == 0


def test_limit_counts_matches(filled: Index, original: Path) -> None:
    assert len(filled.duplicates_of(original / "scene00.jpg", limit=2)) == 2


def test_neither_or_both_are_refused(filled: Index, original: Path) -> None:
    with pytest.raises(QueryError, match="either an image or an id"):
        filled.duplicates_of()
    with pytest.raises(QueryError, match="either an image or an id"):
        filled.duplicates_of(original / "scene00.jpg", id="x")
    with pytest.raises(NotFound, match="'x'"):
        filled.duplicates_of(id="x")


# --- what was decided -----------------------------------------------------------------------


@pytest.mark.parametrize("decision", list(Decision))
def test_a_decision_is_respected_from_then_on(
    index: Index, photos: Path, decision: Decision
) -> None:
    pair = [str(photos / "scene02.jpg"), str(photos / "scene02 crop.jpg")]
    index.decide(pair, decision)
    assert set(by_keeper(index.duplicates())) == {"scene00", "scene01"}
    assert len(index.duplicates_of(id=pair[0])) == 0
    for id in pair:  # also after they were indexed anew, elsewhere
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


def test_a_decision_is_about_two_or_more(index: Index, photos: Path) -> None:
    one = str(photos / "scene02.jpg")
    with pytest.raises(InputError, match="at least two images"):
        index.decide([one, one], Decision.KEEP_ALL)
    with pytest.raises(NotFound, match="nobody"):
        index.decide([one, "nobody"], Decision.KEEP_ALL)


# --- what comes in --------------------------------------------------------------------------


def test_incoming_copies_can_be_left_out(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "skipping", model="built-in") as index:
        report = index.add(photos, copies="skip")
        assert (report.added, report.skipped) == (SCENES, 7)
        assert report.done == SCENES + 7
        of = {Path(copy.uri).stem[:7]: Path(copy.of).stem[:7] for copy in report.copies}
        assert of == {name: name for name in ("scene00", "scene01", "scene02")}
        assert list(index.duplicates()) == []
        again = index.add(photos, copies="skip")
        assert (again.added, again.unchanged, again.skipped) == (0, SCENES, 7)
        assert len(again.copies) == 7
        index.delete([copy.of for copy in report.copies])  # then they are copies of nothing
        last = index.add(photos, copies="skip")
        assert (last.added, last.skipped) == (3, 7)


def test_incoming_copies_can_be_linked(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "linking", model="built-in") as index:
        report = index.add(photos, copies="link")
        assert (report.added, report.skipped, len(report.copies)) == (SCENES + 7, 0, 7)
        linked = {copy.uri: copy.of for copy in report.copies}
        for point in index.scroll():
            assert point.payload["image"].get("copy_of") == linked.get(point.id)


# --- what says nothing, what is gone, what is many ------------------------------------------


def test_plain_and_tiny_pictures_are_nobodys_copies(tmp_path: Path) -> None:
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
    found = index.duplicates()
    groups = by_keeper(found)
    assert names(groups["scene00"]) == FOUND["scene00"] | {"scene00 pixels": "same-picture"}
    assert list(found.problems) == [str(photos / "scene00 pixels.png")]


def test_thumbnails_that_are_lost_are_made_again(photos: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "index", model="built-in", thumbnails=0) as index:
        index.add(photos)
        found = {name: names(group) for name, group in by_keeper(index.duplicates()).items()}
    assert found == FOUND


def test_sketches_that_are_kept_change_nothing_that_is_found(
    index: Index, photos: Path, tmp_path: Path
) -> None:
    asked = [photos / "scene02 crop.jpg", *sorted(photos.iterdir())[:4]]  # it needs features
    file = tmp_path / "index" / "thumbnails.sqlite"

    def sizes() -> dict[int, int]:
        """How many bytes of each."""
        with sqlite3.connect(file) as db:
            return dict(db.execute("SELECT id, length(bytes) FROM sketch"))

    assert not sizes()
    first = [index.duplicates_of(path) for path in asked]
    after = sizes()
    assert after
    assert [index.duplicates_of(path) for path in asked] == first
    groups = list(index.duplicates())
    assert after.keys() <= sizes().keys()
    assert by_keeper(iter(groups)).keys() == FOUND.keys()
    assert list(index.duplicates()) == groups
    assert [index.duplicates_of(path) for path in asked] == first


def test_sketches_of_another_version_are_made_anew(
    index: Index, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = index.duplicates_of(photos / "scene00 half.jpg")
    monkeypatch.setattr(codec, "FORMAT", codec.FORMAT + 1)
    assert index.duplicates_of(photos / "scene00 half.jpg") == before


def test_an_image_that_was_deleted_meanwhile_is_similar_to_none(index: Index) -> None:
    one, other, *_ = next(iter(index._engine.scroll()))
    search = index._finder()._search()
    assert search.similar(one, one) is None  # one id, one point
    index.delete([other.id])
    assert search.similar(one, other) is None


def test_a_policy_may_be_any_function_of_the_payload(filled: Index) -> None:
    def shortest(payload: Payload) -> int:
        return -len(payload["image"]["uri"])

    assert {group.reason for group in filled.duplicates(keep=shortest)} == {"chosen by shortest"}
