"""`search`, `recommend` and `batch` as a user sees them."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import documents, error, lookalike
from tests.support.pictures import draw, folder_of


def search(shop: Path, *arguments: object, **options: Any) -> Any:
    return documents("search", "--index", shop / "index", *arguments, **options)


def test_search_by_file_stdin_and_id(shop: Path) -> None:
    file = shop / "photos" / "005.jpg"
    by_file = search(shop, "--image", file, "-k", 3)
    assert by_file["hits"][0]["id"] == "sku-5"
    assert by_file["hits"][0]["score"] == pytest.approx(1, abs=1e-3)
    by_stdin = search(shop, "--image", "-", "-k", 3, stdin=file.read_bytes())
    assert by_stdin["hits"] == by_file["hits"]
    by_id = search(shop, "--id", "sku-5", "-k", 2)
    assert [hit["id"] for hit in by_id["hits"]] == [hit["id"] for hit in by_file["hits"]][1:]
    assert by_id["complete"] is True
    assert by_id["took_ms"] > 0


def test_search_by_color_name_and_hex(shop: Path) -> None:
    for color in ("purple", "#800080"):
        document = search(shop, "--color", color, "-k", 2)
        assert document["weights"] == {"color": 1.0}
        assert {hit["id"] for hit in document["hits"]} == {"sku-4", "sku-12"}


def test_search_with_weights_and_presets(shop: Path) -> None:
    weighed = search(shop, "--id", "sku-5", "--weights", "semantic=3,color=1")
    assert weighed["weights"] == {"semantic": 0.75, "color": 0.25}
    for hit in weighed["hits"]:
        blend = 0.75 * hit["scores"]["semantic"] + 0.25 * hit["scores"]["color"]
        assert hit["score"] == pytest.approx(blend, abs=1e-5)
    preset = search(shop, "--id", "sku-5", "--weights", "material")
    assert set(preset["weights"]) == {"semantic", "color", "texture"}


def test_search_where_offset_and_table(shop: Path) -> None:
    where = 'price < 10 and category = "dress" and in_stock'
    document = search(shop, "--id", "sku-5", "--where", where)
    assert {hit["id"] for hit in document["hits"]} == {"sku-1", "sku-3", "sku-7"}
    rest = search(shop, "--id", "sku-5", "--where", where, "--offset", 1)
    assert rest["hits"] == document["hits"][1:]
    table = lookalike("search", "--index", shop / "index", "--id", "sku-5", "-k", 2).stdout
    assert "Thing" in table
    assert "semantic" in table


def test_search_composes_targets(shop: Path) -> None:
    at = ("--index", shop / "index")
    both = documents("search", "--id", "sku-1", "--id", "sku-2", "-k", 3, *at)
    assert not {"sku-1", "sku-2"} & {hit["id"] for hit in both["hits"]}
    palette = documents("search", "--color", "red=0.7", "--color", "white=0.3", *at)
    assert palette["explanation"]["aspects"]["color"]["target"] == "red=0.7 and white=0.3"
    crop = ("--image", shop / "photos/003.jpg", "--crop", "0,0,0.5,1")
    assert documents("search", *crop, "-k", 3, *at)["hits"]
    assert "does not lie within" in error("search", *crop[:3], "0.6,0,0.5,1", *at)
    assert "list of numbers" in error("search", *crop[:3], "left", *at)
    assert "crop is of one picture" in error("search", "--color", "red", *crop[2:], *at)


def test_search_explains(shop: Path) -> None:
    arguments = ("search", "--id", "sku-1", "--weights", "style", "--index", shop / "index")
    document = documents(*arguments)
    plan = document["explanation"]
    assert set(plan["aspects"]) == {"semantic", "color"}
    assert set(plan["milliseconds"]) == {"targets", "engine", "ranking"}
    for hit in document["hits"]:
        counted = {a: p["effective"] * hit["scores"][a] for a, p in plan["aspects"].items()}
        assert sum(counted.values()) == pytest.approx(hit["score"], abs=1e-5)
        assert sum(hit["shares"].values()) == pytest.approx(1) or not any(hit["shares"].values())
    shown = lookalike(*arguments, "--explain").stdout
    for word in ("calibrated", "random images", "factor", "requests to the engine"):
        assert word in shown


def test_hits_can_be_spread_collapsed_and_cut_off(shop: Path) -> None:
    arguments = ("search", "--id", "sku-1", "--index", shop / "index")
    spread = documents(*arguments, "--diversity", 0.8, "--collapse", "--relevant", "-k", 5)
    kinds = documents(*arguments, "--collapse", "category")["hits"]
    assert sorted(hit["payload"]["category"] for hit in kinds) == ["dress", "hat"]
    assert sum(hit["others"] for hit in kinds) == 13
    assert "+" in lookalike(*arguments, "--collapse", "category").stdout
    assert all("variants" in hit for hit in spread["hits"])
    assert "diversity must be from 0 to 1 (got 2.0)" in error(*arguments, "--diversity", 2)


def test_a_sorted_list_says_what_it_is_and_shows_no_scores(shop: Path) -> None:
    options = ("--where", "price > 0", "--sort", "-price", "--index", shop / "index")
    shown = lookalike("search", *options).stdout
    assert shown.startswith("where price > 0, sorted by -price\n")
    assert "score" not in shown
    assert "score" in lookalike("search", "--id", "sku-1", *options).stdout


def test_search_writes_a_sheet_that_needs_nothing_else(shop: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    file = shop / "photos" / "005.jpg"
    lookalike("search", "--index", shop / "index", "--image", file, "--html", sheet)
    html = sheet.read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") == 11
    assert not re.search(r'(src|href)="?(http|//|file|/)', html)


def test_a_sheet_of_images_whose_files_are_gone(tmp_path: Path) -> None:
    photos, sheet = folder_of(tmp_path / "photos", 4), tmp_path / "sheet.html"
    at = ("--index", tmp_path / "i")
    lookalike("index", photos, *at, "--model", "built-in")
    first, second, *_ = sorted(photos.iterdir())
    first.unlink()
    second.unlink()
    lookalike("search", "--id", first, *at, "--html", sheet)
    assert sheet.read_text(encoding="utf-8").count("data:image/jpeg;base64,") == 4  # thumbnails
    (tmp_path / "i" / "thumbnails.sqlite").unlink()
    lookalike("search", "--id", first, *at, "--html", sheet)
    html = sheet.read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") == 2
    assert "001.jpg does not exist" in html


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "0", "--id", "sku-1"], "limit must be at least 1 (got 0)"),
        (["--limit", "0", "--id", "sku-1"], "limit must be at least 1 (got 0)"),
        ([], "Nothing to search by"),
        (["--id", "nobody"], "no image with the id 'nobody'"),
        (["--id", os.fsdecode(b"\xff")], "no image with the id"),
        (["--image", "nowhere.jpg"], "nowhere.jpg does not exist"),
        (["--color", "reddd"], "no color 'reddd'; did you mean"),
        (["--id", "sku-1", "--weights", "shape=1"], "no aspect 'shape'"),
        (["--id", "sku-1", "--weights", "semantic=1,color"], "'color' is not NAME=VALUE"),
        (["--id", "sku-1", "--weights", "color=much"], "'color=much' is not NAME=NUMBER"),
        (["--id", "sku-1", "--weights", "x"], "no preset 'x'"),
        (["--id", "sku-1", "--preset", "style"], "No such option"),
        (["--text", "a garblefrotz"], "does not know the word 'garblefrotz'"),
        (["--id", "sku-1", "--where", "prise < 3"], 'did you mean "price"'),
        (["--id", "sku-1", "--where", "price < cheap"], "price is a number (float)"),
        (["--id", "sku-1", "--bogus"], "No such option"),
        (["--id", "sku-1", "-k", "many"], "not a valid integer"),
    ],
)
def test_bad_searches(shop: Path, arguments: Sequence[str], message: str) -> None:
    assert message in error("search", "--index", shop / "index", *arguments)


def test_a_query_image_that_is_none(shop: Path) -> None:
    message = error("search", "--index", shop / "index", "--image", "-", stdin=b"hello")
    assert message.startswith("unsupported_format")


def test_text_finds_with_a_model_that_knows_words(data: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for kind in ("shoes", "hat"):
        for file in sorted((data / "catalog" / "images" / kind).iterdir())[:12]:
            shutil.copy(file, photos / f"{kind}-{file.name}")
    at = ("--index", tmp_path / "index")
    lookalike("index", photos, *at, "--model-dir", data / "standin-clip")
    document = documents("search", *at, "--text", "shoes", "-k", 10)
    shoes = [hit for hit in document["hits"] if "/shoes-" in hit["id"]]
    assert len(shoes) >= 8
    message = error("index", photos, *at, "--model-dir", data / "standin-clip" / "text", code=1)
    assert "dimensions" in message or "cannot be loaded" in message
    draw(1).save(tmp_path / "one.png")
    mixed = documents("search", *at, "--text", "shoes", "--image", tmp_path / "one.png")
    assert mixed["weights"] == {"semantic": 1.0}


def test_recommend_leaves_the_examples_out(shop: Path) -> None:
    at = ("--index", shop / "index")
    likes = ("--like", "sku-1", "--like", shop / "photos/002.jpg", "--unlike", "sku-3")
    for strategy in ("average", "best", "sum"):
        hits = documents("recommend", *likes, "--strategy", strategy, "-k", 20, *at)["hits"]
        assert not {"sku-1", "sku-2", "sku-3"} & {hit["id"] for hit in hits}
    assert len(documents("recommend", "--unlike", "sku-3", "-k", 20, *at)["hits"]) == 15
    assert "neither an image of this index nor a file" in error("recommend", "--like", "nix", *at)
    assert "Nothing to search by" in error("recommend", *at)


def test_batch_answers_line_by_line(shop: Path, tmp_path: Path) -> None:
    queries = tmp_path / "queries.jsonl"
    lines = ['{"id": "sku-1", "limit": 2}', "", '{"id": "nix"}', '{"color": "red", "limit": 1}']
    queries.write_text("\n".join(lines), encoding="utf-8")
    at = ("--index", shop / "index")
    done = lookalike("batch", queries, *at, code=1)
    first, second, third = map(json.loads, done.stdout.splitlines())
    assert len(first["hits"]) == 2
    assert "no image with the id" in second["error"]
    assert len(third["hits"]) == 1
    assert "3 queries in" in done.stderr
    assert "1 of 3 queries failed" in done.stderr
    good = "\n".join([lines[0], lines[3]]).encode()
    whole = documents("batch", "-", *at, stdin=good)
    assert len(whole["answers"]) == 2
    assert whole["queries_per_second"] > 0
    assert "cannot be read" in error("batch", tmp_path / "none", *at)


def test_no_line_of_a_batch_harms_another(shop: Path, tmp_path: Path) -> None:
    queries, good = tmp_path / "queries.jsonl", b'{"id": "sku-1", "limit": 2}'
    bad = [b"[1]", b'{"id":', b'{"id": "caf\xe9"}', b"[" * 100_000, b'"\\ud83d"']
    queries.write_bytes(b"\n".join([b"\xef\xbb\xbf" + good, *bad, good]))  # as Windows writes it
    for given in (queries, "-"):
        stdin = queries.read_bytes() if given == "-" else None
        done = lookalike("batch", given, "--index", shop / "index", code=1, stdin=stdin)
        first, *errors, last = [json.loads(line) for line in done.stdout.splitlines()]
        assert len(first["hits"]) == len(last["hits"]) == 2
        for number, answer in enumerate(errors, 2):
            what = "UTF-8 text" if number == 4 else "a JSON object"
            assert answer["error"].startswith(f"Line {number} is not {what}: ")
            assert len(answer["error"]) < 100
