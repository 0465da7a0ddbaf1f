"""A file that holds more never goes in favor of one that holds less, under any policy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import PIL.Image
import pytest
from benchmarks.duplicate_keepers import MAY_GO, MUST_STAY, POLICIES, measure

from lookalike.index import Index

PHOTOS = (
    "caltech101/cup/image_0020.jpg",
    "caltech101/stop_sign/image_0040.jpg",
    "caltech101/bonsai/image_0037.jpg",
)
KEPT = (
    "caltech101/cup/image_0020.jpg",
    "caltech101/brain/image_0027.jpg",
    "caltech101/bass/image_0048.jpg",
    "caltech101/starfish/image_0001.jpg",
)
"""Photos of which the whole-picture alignment with a copy in bars is stretched by up to 14 %, as
they have dark or light edges themselves."""


@pytest.mark.slow
@pytest.mark.parametrize("first", range(3))
def test_no_photo_goes_in_favor_of_a_copy_that_holds_less(
    data: Path, tmp_path: Path, first: int
) -> None:
    every = sorted((data / "photos").rglob("*.jpg"))
    photos = every[first * 31 :: 53][: len(MUST_STAY)]
    wrong, resolved = measure(photos, MUST_STAY, tmp_path)
    assert not wrong
    assert len(resolved) > len(MUST_STAY) / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", KEPT)
def test_the_original_is_the_keeper(data: Path, tmp_path: Path, name: str) -> None:
    photo = PIL.Image.open(data / "photos" / name).convert("RGB")
    kinds = ("bars", "phone", "enlarged 2", "blurred, enlarged", "crop, enlarged", "border")
    for kind in kinds:
        (tmp_path / kind).mkdir()
        MUST_STAY[kind](photo, tmp_path / kind)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(tmp_path)
        stems = [[Path(one.uri).stem for one in group.members] for group in index.duplicates()]
        (group,) = [group for group in stems if "photo" in group]
        assert group[: len(kinds)] == ["photo"] * len(kinds)  # they are identical


def test_an_enlargement_with_stronger_edges_of_a_file_is_no_finer(
    data: Path, tmp_path: Path
) -> None:
    """JPEG leaves marks above the former limit of an enlargement, which are no detail."""
    photo = data / "photos/grocery/tropicana-mandarin-morning"
    name = "test_tropicana-mandarin-morning_017.jpg"
    kinds = {"enlarged 2, linear": MUST_STAY["enlarged 2, linear"]}
    wrong, _ = measure([photo / name], kinds, tmp_path)
    assert not wrong


def test_a_smooth_photo_does_not_go_in_favor_of_its_strong_compression(
    data: Path, tmp_path: Path
) -> None:
    """JPEG at quality 40 leaves more of it than of any other of 80 photos."""
    photo = data / "photos/caltech101/water_lilly/image_0035.jpg"
    wrong, _ = measure([photo], {"JPEG 40": MUST_STAY["JPEG 40"]}, tmp_path)
    assert not wrong


def test_of_equal_copies_one_stays(data: Path, tmp_path: Path) -> None:
    photos = [data / "photos" / name for name in PHOTOS]
    wrong, resolved = measure(photos, MAY_GO, tmp_path)
    assert wrong.total() + resolved.total() == len(POLICIES) * len(photos)


def test_the_whole_is_kept_and_not_its_part(data: Path, tmp_path: Path) -> None:
    photos = data / "photos" / "caltech101"
    with Index.open(tmp_path / "index", model="built-in") as index:
        whole = photos / "cougar_body" / "image_0029.jpg"
        index.add(whole)
        index.add(photos / "cougar_face" / "image_0048.jpg")
        for name, keep in POLICIES.items():
            groups = list(index.duplicates(keep=keep))
            assert [group.keeper for group in groups] == [str(whole)], name


def test_a_raw_stays_and_is_kept(data: Path, tmp_path: Path) -> None:
    photo = data / "photos" / PHOTOS[0]
    script = data / "faults" / "raw_pair.py"
    subprocess.run([sys.executable, script, tmp_path / "raw", photo], check=True)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(tmp_path / "raw")
        for even_if_more in (False, True):
            for keep in POLICIES.values():
                groups = list(index.duplicates(keep=keep))
                report = index.resolve_duplicates(groups, "remove", even_if_more=even_if_more)
                gone = {Path(file.uri).suffix.lower() for file in report.done}
                assert gone <= {".jpg"}


def test_a_copy_that_holds_something_else_stays_unless_told(tmp_path: Path, data: Path) -> None:
    photo = PIL.Image.open(data / "photos" / PHOTOS[0])
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.save(folder / "large.jpg", quality=92)
    exif = PIL.Image.Exif()
    exif[271] = "ACME"
    photo.resize((photo.width // 2, photo.height // 2)).save(folder / "camera.jpg", exif=exif)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        (group,) = index.duplicates()
        (copy,) = group.copies
        assert Path(group.keeper).stem == "large"
        assert copy.holds_more == ("camera metadata",)
        report = index.resolve_duplicates([group], "remove", dry_run=False)
        assert not report.done
        assert "holds more than its keeper: camera metadata" in report.skipped[0].reason
        assert len(index) == 2
        index.resolve_duplicates([group], "remove", dry_run=False, even_if_more=True)
        assert len(index) == 1


def test_an_original_that_is_gone_keeps_its_copies(tmp_path: Path, data: Path) -> None:
    photo = PIL.Image.open(data / "photos" / PHOTOS[0])
    folder = tmp_path / "photos"
    folder.mkdir()
    photo.save(folder / "a.jpg", quality=92)
    photo.resize((photo.width // 2, photo.height // 2)).save(folder / "b.jpg")
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        (folder / "a.jpg").unlink()
        groups = index.duplicates()
        (group,) = groups
        assert "an original cannot be read" in group.copies[0].holds_more[0]
        assert list(groups.problems) == [str(folder / "a.jpg")]
