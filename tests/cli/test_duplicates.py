"""The commands `duplicates`, `decide`, `undo` and `index --copies`, run from a shell."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageOps

from lookalike.index import Index
from tests.support.command_line import documents, error, lookalike
from tests.support.indexes import copied, restored
from tests.support.pictures import scene

COPIES = {"again": "identical", "half": "same-picture", "mirror": "same-picture"}
"""Verdicts on the copies of scenes, by file name."""


def library(path: Path) -> Path:
    """A folder with `photos`, four scenes and three copies of two of them, and their `index`.

    The mirrored copy is larger and newer than its original, and of low quality.
    """
    photos = path / "photos"
    (photos / "sub").mkdir(parents=True)
    for i in range(4):
        scene(i).save(photos / f"scene{i}.jpg", quality=92)
    shutil.copy(photos / "scene0.jpg", photos / "sub" / "again.jpg")
    Image.open(photos / "scene0.jpg").resize((240, 180)).save(photos / "sub" / "half.jpg")
    mirrored = ImageOps.mirror(Image.open(photos / "scene1.jpg"))
    mirrored.resize((600, 450)).save(photos / "mirror.jpg", quality=40)
    os.utime(photos / "scene1.jpg", (10**9, 10**9))
    with Index.open(path / "index", model="built-in") as index:
        index.add(photos)
    return path


def images(home: Path) -> int:
    with Index.open(home / "index") as index:
        return len(index)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that no test changes."""
    return library(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder `template` beside `own`; both have the library at `own`."""
    folder = tmp_path_factory.mktemp("libraries")
    return copied(library(folder / "own"), folder / "template")


@pytest.fixture
def own(template: Path) -> Path:
    """A library of the test's own."""
    return restored(template, template.with_name("own"))


def tree(folder: Path) -> dict[str, bytes]:
    """The content of all files below a folder, by relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def stem(uri: str) -> str:
    return Path(uri).stem


# --- output ---------------------------------------------------------------------------------


def test_groups_as_lines(home: Path) -> None:
    done = lookalike("duplicates", "--index", home / "index", "--keep", "first")
    lines = done.stdout.splitlines()
    photos = home / "photos"
    assert lines[0] == f"1  keep {photos / 'scene1.jpg'}  (holds more: finer detail)"
    assert lines[1].startswith(f"     same-picture  {photos / 'mirror.jpg'}  mirrored")
    assert lines[2].startswith(f"2  keep {photos / 'scene0.jpg'}")
    assert {line.split("  ")[2].strip() for line in lines[3:5]} == {"identical", "same-picture"}
    assert lines[5].startswith("2 groups, 3 copies (1 identical, 2 same-picture), ")
    assert len(lines) == 6
    assert done.stderr == ""


def test_groups_as_json(home: Path) -> None:
    found = documents("duplicates", "--index", home / "index")
    assert set(found) == {"groups", "images", "problems", "took_ms"}
    assert found["images"] == 7
    assert found["problems"] == {}
    assert found["took_ms"] > 0
    verdicts = {}
    for group in found["groups"]:
        assert set(group) == {"verdict", "keeper", "reason", "members"}
        assert group["verdict"] == "same-picture"
        assert group["reason"].startswith(("largest: ", "holds more: finer detail"))
        first, *copies = group["members"]
        assert (first["id"], first["verdict"], first["evidence"]) == (
            group["keeper"], "identical", {"why": "kept"},
        )  # fmt: skip
        for copy in copies:
            assert set(copy) == {"id", "uri", "verdict", "evidence", "holds_more", "protected"}
            assert copy["evidence"]["why"]
            assert (copy["holds_more"], copy["protected"]) == ([], False)
            verdicts[stem(copy["uri"])] = copy
    assert len(found["groups"]) == 2
    assert verdicts["half"]["verdict"] == "same-picture"
    compared = verdicts["half"]["evidence"]
    assert compared["correlation"] > 0.8
    assert compared["shown"] == pytest.approx([1, 1])
    assert compared["mirrored"] is False
    assert {verdicts.get(name, {}).get("verdict") for name in ("again", "scene0")} >= {"identical"}


def test_an_index_without_copies(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    scene(1).save(tmp_path / "photos" / "one.jpg")
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(tmp_path / "photos")
    shown = lookalike("duplicates", "--index", tmp_path / "index").stdout
    assert shown == "No duplicates found.\n"


def test_a_csv_and_a_report(home: Path, tmp_path: Path) -> None:
    table, page = tmp_path / "copies.csv", tmp_path / "copies.html"
    lookalike("duplicates", "--index", home / "index", "--csv", table, "--html", page)
    rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
    assert len(rows) == 5
    assert [row["keep"] for row in rows].count("yes") == 2
    assert {row["group"] for row in rows} == {"1", "2"}
    (half,) = (row for row in rows if stem(row["uri"]) == "half")
    assert (half["verdict"], half["width"], half["format"]) == ("same-picture", "240", "JPEG")
    assert "240 × 180" in half["why"]
    assert float(half["correlation"]) > 0.8
    html = page.read_text(encoding="utf-8")
    assert html.count("<section>") == 2
    assert html.count("data:image/jpeg;base64,") > 5  # the members, and what differs
    assert 'alt="differences"' in html
    assert not re.search(r'(src|href)="?(http|//|file|/)', html)
    for name in ("half.jpg", "mirror.jpg", "same-picture", "identical"):
        assert name in html


def test_a_report_of_a_member_whose_file_is_gone(own: Path) -> None:
    (own / "photos" / "sub" / "half.jpg").unlink()
    with Index.open(own / "index", thumbnails=0):  # and its thumbnail
        pass
    file = own / "copies.html"
    done = lookalike("duplicates", "--index", own / "index", "--html", file)
    assert "2 groups, 2 copies" in done.stdout
    assert "could not be read: " in done.stderr
    assert "half.jpg does not exist" in done.stderr
    assert file.read_text(encoding="utf-8").count("<section>") == 2


@pytest.mark.parametrize(
    ("policy", "keeper", "reason"),
    [
        ("largest", "scene1", "holds more: finer detail"),
        ("first", "scene1", "holds more: finer detail"),
        ("oldest", "scene1", "oldest: 2001-09-09 01:46:40"),
        ("best", "scene1", "most detail: 480 × 360 at "),
    ],
)
def test_a_policy_chooses_the_keeper(home: Path, policy: str, keeper: str, reason: str) -> None:
    shown = lookalike("duplicates", "--index", home / "index", "--keep", policy).stdout
    kept = {stem(uri): why for uri, why in re.findall(r"^\d+  keep (.*?)  \((.*)\)$", shown, re.M)}
    assert len({"mirror", "scene1"} & kept.keys()) == 1
    assert kept[keeper].startswith(reason)


def test_where_limits_the_images_that_are_considered(home: Path) -> None:
    found = documents("duplicates", "--index", home / "index", "--where", "image.width < 600")
    (group,) = found["groups"]
    assert {stem(member["uri"]) for member in group["members"]} == {"scene0", "again", "half"}
    assert found["images"] == 6


def test_similar_images_are_shown_beside_all_copies(home: Path) -> None:
    found = documents("duplicates", "--index", home / "index", "--similar")
    verdicts = [m["verdict"] for group in found["groups"] for m in group["members"][1:]]
    assert verdicts.count("similar") > 0
    assert sorted(set(verdicts) - {"similar"}) == sorted(set(COPIES.values()))
    assert len([verdict for verdict in verdicts if verdict != "similar"]) == len(COPIES)


# --- one image ------------------------------------------------------------------------------


def test_one_file_against_the_index(home: Path, tmp_path: Path) -> None:
    at = ("--index", home / "index")
    file = tmp_path / "turned.webp"
    Image.open(home / "photos" / "scene1.jpg").rotate(90, expand=True).save(file, quality=80)
    found = documents("duplicates", file, *at)
    assert set(found) == {"matches", "took_ms"}
    assert found["took_ms"] > 0
    assert {stem(match["uri"]) for match in found["matches"]} == {"scene1", "mirror"}
    for match in found["matches"]:
        assert set(match) == {"id", "uri", "verdict", "evidence", "holds_more", "protected"}
        assert match["verdict"] == "same-picture"
        assert "rotated by" in match["evidence"]["why"]
    lines = lookalike("duplicates", home / "photos" / "scene1.jpg", *at).stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["identical", "same-picture"]
    scene(50).save(file)
    assert lookalike("duplicates", file, *at).stdout == "The index has no copy of it.\n"


def test_one_image_of_the_index_against_the_others(home: Path) -> None:
    id = home / "photos" / "scene0.jpg"
    at = ("--index", home / "index")
    found = documents("duplicates", "--id", id, *at)["matches"]
    assert {stem(m["uri"]): m["verdict"] for m in found} == {
        "again": "identical",
        "half": "same-picture",
    }
    found = documents("duplicates", "--id", id, "--similar", *at)["matches"]
    assert [m["verdict"] for m in found[:2]] == ["identical", "same-picture"]
    assert {m["verdict"] for m in found[2:]} == {"similar"}


# --- misuse ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--yes"], "--yes needs an action: add --remove, --move-to or --delete-files"),
        (["--remove", "--delete-files"], "Choose one of --remove, --move-to and --delete-files"),
        (["--log", "log"], "--log needs an action on files: add --move-to or --delete-files"),
        (
            ["--remove", "--log", "log"],
            "--log needs an action on files: add --move-to or --delete-files",
        ),
        (
            ["--keep", "biggest"],
            "'biggest' is not a keep policy: choose one of largest, oldest, best, first",
        ),
        (["--where", "prise < 3"], 'unknown field "prise"'),
        (["--csv", "/no/where"], "/no/where cannot be written"),
        (["--id", "nobody"], "no image with the id 'nobody'"),
        (["nowhere.jpg"], "nowhere.jpg does not exist"),
        (["nowhere.jpg", "--id", "nobody"], "either an image or an id"),
        (["--verdict", "similar"], "are not verdicts of copies: choose among identical"),
        (["--protect", "/no/where"], "The folder to protect does not exist: /no/where"),
        (["--even-if-more"], "--even-if-more needs an action"),
        (["nowhere.jpg", "--verdict", "identical"], "PATH and --id look up one image"),
        (["nowhere.jpg", "--remove"], "PATH and --id look up one image"),
        (["--id", "nobody", "--html", "x.html"], "PATH and --id look up one image"),
    ],
)
def test_bad_questions(home: Path, arguments: Sequence[str], message: str) -> None:
    before = tree(home / "photos")
    assert message in error("duplicates", "--index", home / "index", *arguments)
    assert tree(home / "photos") == before


def test_no_index_is_created(tmp_path: Path) -> None:
    assert "There is no index at" in error("duplicates", "--index", tmp_path / "i")
    assert not (tmp_path / "i").exists()


# --- actions --------------------------------------------------------------------------------


@pytest.mark.parametrize("action", [["--remove"], ["--move-to", "aside"], ["--delete-files"]])
def test_without_yes_nothing_changes(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, action: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = tree(home / "photos")
    found = documents("duplicates", "--index", home / "index", *action)
    assert found["dry_run"] is True
    assert len(found["done"]) == 3
    assert found["skipped"] == []
    assert tree(home / "photos") == before
    assert list(tmp_path.iterdir()) == []  # no folder and no log
    assert images(home) == 7


def test_without_yes_the_plan_is_shown(home: Path, tmp_path: Path) -> None:
    aside = tmp_path / "aside"
    done = lookalike("duplicates", "--index", home / "index", "--move-to", aside)
    assert f"again.jpg → {aside}" in done.stdout
    assert "3 would be done, 0 skipped" in done.stdout
    assert "Run the same command with --yes" in done.stderr


def test_remove_takes_copies_out_of_the_index_alone(own: Path) -> None:
    before = tree(own / "photos")
    found = documents("duplicates", "--index", own / "index", "--remove", "--yes")
    assert found["dry_run"] is False
    assert found["images"] == 7
    assert [one["to"] for one in found["done"]] == [None] * 3
    assert images(own) == 4
    assert tree(own / "photos") == before


def test_moved_files_come_back(own: Path) -> None:
    at, photos, aside = ("--index", own / "index"), own / "photos", own / "aside"
    before = tree(photos)
    done = lookalike("duplicates", *at, "--move-to", aside, "--yes", "--keep", "first")
    assert "3 done, 0 skipped" in done.stdout
    log = aside / "undo.jsonl"
    moved = {name: content for name, content in tree(aside).items() if name != log.name}
    assert set(moved) == {"mirror.jpg", "sub/again.jpg", "sub/half.jpg"}  # with relative paths
    assert {**tree(photos), **moved} == before
    assert images(own) == 4
    undone = lookalike("undo", log)
    assert "3 moved back, 0 skipped" in undone.stdout
    assert "lookalike index" in undone.stderr
    assert tree(photos) == before
    again = lookalike("undo", log)
    assert "0 moved back, 0 skipped" in again.stdout
    assert again.stderr == ""


def test_deleted_files_are_in_the_log(own: Path) -> None:
    at, photos, log = ("--index", own / "index"), own / "photos", own / "deleted.jsonl"
    before = tree(photos)
    Image.open(photos / "scene1.jpg").save(photos / "scene1.jpg", quality=91)  # a keeper
    done = lookalike("duplicates", *at, "--delete-files", "--log", log, "--yes")
    assert "2 done, 1 skipped" in done.stdout
    assert "scene1.jpg has changed since it was indexed" in done.stderr
    deleted = [json.loads(line) for line in log.read_text().splitlines()]
    gone = {str(Path(line["from"]).relative_to(photos)) for line in deleted}
    assert len(gone) == 2
    assert set(before) - set(tree(photos)) == gone
    assert {line["action"] for line in deleted} == {"delete"}
    told = lookalike("undo", log)
    assert "0 moved back, 2 skipped" in told.stdout
    assert "was deleted and cannot be restored" in told.stdout


def test_only_copies_with_some_verdicts_are_moved(own: Path) -> None:
    aside = ("--move-to", own / "aside", "--yes")
    found = documents(
        "duplicates", "--index", own / "index", "--verdict", "identical,same-pixels", *aside
    )
    assert [stem(done["uri"]) for done in found["done"]] == ["again"]
    assert images(own) == 6


def test_protected_files_stay_and_are_preferred(own: Path) -> None:
    protect = ("--protect", own / "photos" / "sub")
    found = documents("duplicates", "--index", own / "index", *protect, "--remove", "--yes")
    kept = {stem(group["keeper"]): group["reason"] for group in found["groups"]}
    assert kept["again"] == "in a protected folder"
    assert {stem(done["uri"]) for done in found["done"]} == {"scene0", "mirror"}
    (half,) = found["skipped"]
    assert half["reason"].endswith("half.jpg stays because it is in a protected folder.")
    assert images(own) == 5


def test_a_copy_that_holds_more_stays(own: Path) -> None:
    Image.open(own / "photos" / "scene2.jpg").save(own / "photos" / "a.tif", compression="raw")
    exif = Image.Exif()
    exif[271] = "ACME"  # a camera's name
    small = Image.open(own / "photos" / "scene2.jpg").resize((240, 180))
    small.save(own / "photos" / "small.jpg", exif=exif)
    with Index.open(own / "index") as index:
        index.add(own / "photos")
    at = ("duplicates", "--index", own / "index", "--delete-files", "--log", own / "log", "--yes")
    found = documents(*at)
    (skipped,) = found["skipped"]
    assert stem(skipped["uri"]) == "small"
    assert "holds more than its keeper: camera metadata" in skipped["reason"]
    assert (own / "photos" / "small.jpg").exists()
    assert "stays, as it holds more: camera metadata" in lookalike(*at).stdout
    assert not documents(*at, "--even-if-more")["skipped"]
    assert not (own / "photos" / "small.jpg").exists()


def test_a_file_that_two_images_share_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    photo = tmp_path / "photos" / "one.jpg"
    photo.parent.mkdir()
    scene(1).save(photo)
    Path("catalog.csv").write_text("id,file\nred,photos/one.jpg\nblue,photos/one.jpg\n")
    with Index.open("index", model="built-in") as index:
        index.add("photos", metadata="catalog.csv")
    for action in (["--delete-files"], ["--move-to", "aside"]):
        lookalike("duplicates", "--index", "index", *action, "--yes")
        assert photo.exists(), action


def test_other_files_are_not_logs(tmp_path: Path) -> None:
    assert "cannot be read" in error("undo", tmp_path / "nothing")
    (tmp_path / "text").write_text("hello\n")
    assert "is not a log of moved files" in error("undo", tmp_path / "text")


# --- decisions ------------------------------------------------------------------------------


def keepers(index: Path) -> set[str]:
    with Index.open(index) as opened:
        return {stem(group.keeper) for group in opened.duplicates(keep="first")}


def test_decisions_are_remembered(home: Path, tmp_path: Path) -> None:
    index = copied(home / "index", tmp_path / "index")
    pair = [home / "photos" / "scene1.jpg", home / "photos" / "mirror.jpg"]
    said = ("decide", *pair, "--index", index)
    assert keepers(index) == {"scene0", "scene1"}
    for flag in ("--not-duplicates", "--keep-all"):
        assert lookalike(*said, flag).stdout == "remembered for 2 images\n"
        assert keepers(index) == {"scene0"}
        assert lookalike(*said, "--forget").stdout == "forgotten\n"
        assert keepers(index) == {"scene0", "scene1"}


def test_invalid_decisions(home: Path) -> None:
    at = ("--index", home / "index")
    one, other = home / "photos" / "scene1.jpg", home / "photos" / "mirror.jpg"
    assert "A decision is missing" in error("decide", one, other, *at)
    assert "at least two images" in error("decide", one, one, "--keep-all", *at)
    assert "no image with the id 'nobody'" in error("decide", one, "nobody", "--keep-all", *at)
    assert "Missing argument" in error("decide", "--keep-all", *at)


# --- index --copies -------------------------------------------------------------------------


def index_as_json(home: Path, index: Path, *arguments: object) -> Any:
    return documents("index", home / "photos", "--index", index, "--model", "built-in", *arguments)


def test_incoming_copies_are_skipped(home: Path, tmp_path: Path) -> None:
    asked = (home, tmp_path / "i", "--copies", "skip")
    report = index_as_json(*asked)
    assert (report["added"], report["skipped"]) == (5, 2)
    assert all(set(copied) == {"uri", "of", "verdict", "holds_more"} for copied in report["copies"])
    (finer,) = (copied for copied in report["copies"] if copied["holds_more"])
    assert (stem(finer["uri"]), finer["holds_more"]) == ("scene1", ["finer detail"])
    assert sorted(copied["verdict"] for copied in report["copies"]) == sorted(COPIES.values())
    shown = lookalike("index", home / "photos", "--index", tmp_path / "i", "--copies", "skip")
    assert "unchanged 5 · rejected 0 · removed 0 · skipped 2" in shown.stdout
    assert "copies: 1 identical, 1 same-picture" in shown.stdout
    kept = index_as_json(home, tmp_path / "i", "--copies", "keep")
    assert (kept["added"], kept["skipped"], kept["copies"]) == (2, 0, [])


def test_incoming_copies_are_linked(home: Path, tmp_path: Path) -> None:
    index = tmp_path / "i"
    report = index_as_json(home, index, "--copies", "link")
    assert (report["added"], report["skipped"], len(report["copies"])) == (7, 0, 3)
    with Index.open(index) as opened:
        for copied in report["copies"]:
            assert opened.get(copied["uri"]).payload["image"]["copy_of"] == copied["of"]


def test_thumbnails_stay_within_their_budget(home: Path, tmp_path: Path) -> None:
    def bytes_of(index: Path) -> int:
        return (index / "thumbnails.sqlite").stat().st_size

    index_as_json(home, tmp_path / "none", "--thumbnails", "0")
    index_as_json(home, tmp_path / "some", "--thumbnails", "50M")
    assert bytes_of(tmp_path / "none") < bytes_of(tmp_path / "some") / 3
    assert keepers(tmp_path / "none") == keepers(tmp_path / "some") == {"scene0", "scene1"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--thumbnails", "lots"], "not 'lots'"),
        (["--thumbnails", "-1"], "not '-1'"),
        (["--copies", "drop"], "'drop' is not one of 'keep', 'skip', 'link'"),
        (["--ray", "auto"], "Ray cannot work on an index in a folder"),
    ],
)
def test_index_is_refused_before_anything_is_made(
    home: Path, tmp_path: Path, arguments: Sequence[str], message: str
) -> None:
    at = ("--index", tmp_path / "i", "--model", "built-in")
    assert message in error("index", home / "photos", *at, *arguments)
    assert not (tmp_path / "i").exists()
