"""The command line as a shell sees it: output, exit codes, one sentence for every error."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import pytest

from lookalike import cli
from lookalike.index import Index
from tests.support.paths import ROOT
from tests.support.pictures import draw, folder_of


def lookalike(
    *arguments: object, code: int = 0, stdin: bytes | None = None, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs the command and checks its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**os.environ, "COLUMNS": "140", "HF_HUB_OFFLINE": "1", **(env or {})},
        timeout=120,
    )
    result = subprocess.CompletedProcess(
        done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
    )
    assert result.returncode == code, (result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result


def error(*arguments: object, code: int = 2, **options: Any) -> str:
    """The one line that a failing command says."""
    done = lookalike(*arguments, code=code, **options)
    assert done.stdout == ""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("lookalike: ")
    return lines[0].removeprefix("lookalike: ")


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with photos, catalog.csv, and their index; tests do not change it."""
    shop = tmp_path_factory.mktemp("shop")
    folder_of(shop / "photos", 16)
    lines = ["id,file,name,category,price,in_stock"] + [
        f"sku-{i},photos/{i:03}.jpg,Thing {i},{('hat', 'dress')[i % 2]},{i}.5,{str(i < 8).lower()}"
        for i in range(16)
    ]
    (shop / "catalog.csv").write_text("\n".join(lines), encoding="utf-8")
    lookalike(
        "index", shop / "photos", "--metadata", shop / "catalog.csv", "--model", "built-in",
        "--index", shop / "index",
    )  # fmt: skip
    return shop


def documents(*arguments: object, **options: Any) -> Any:
    return json.loads(lookalike(*arguments, "--json", **options).stdout)


# --- index ----------------------------------------------------------------------------------


def test_index_says_what_it_did(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 4)
    (photos / "bad\x1b[31m.jpg").write_text("x")
    told = lookalike("index", photos, "--index", tmp_path / "i", "--model", "built-in").stdout
    assert "added 4 · updated 0 · unchanged 0 · rejected 1 · removed 0" in told
    assert "rejected: 1 unsupported_format" in told
    assert r"bad\x1b[31m.jpg: unsupported_format" in told
    assert "\x1b" not in told


def test_index_as_json(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 4)
    (photos / "bad.jpg").write_text("x")
    rejects = tmp_path / "rejects.jsonl"
    report = documents(
        "index", photos, "--index", tmp_path / "i", "--model", "built-in", "--rejects", rejects
    )
    counts = {"added": 4, "updated": 0, "unchanged": 0, "rejected": 1, "removed": 0}
    assert counts.items() <= report.items()
    assert report["model"] == "lookalike-small-1"
    assert report["seconds"] > 0
    assert report["images_per_second"] > 0
    assert report["rejects"] == [json.loads(line) for line in rejects.read_text().splitlines()]
    assert set(report["rejects"][0]) == {"uri", "reason", "detail"}


def test_all_refused_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_text("x")
    done = lookalike(
        "index", tmp_path / "bad.jpg", "--index", tmp_path / "i", "--model", "built-in", code=1
    )
    assert "None of the images could be read" in done.stderr


def test_limits_can_be_set(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 2)
    to = ("--index", tmp_path / "i", "--model", "built-in")
    report = json.loads(
        lookalike("index", photos, *to, "--limits", "pixels=100", "--json", code=1).stdout
    )
    assert [reject["reason"] for reject in report["rejects"]] == ["too_large"] * 2
    assert "no limit 'size'" in error("index", photos, *to, "--limits", "size=1")
    assert "numbers above 0" in error("index", photos, *to, "--limits", "pixels=-1")


def test_without_weights_it_falls_back_quickly_and_says_so(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 2)
    env = {"FASTEMBED_CACHE_PATH": str(tmp_path / "cache"), "HF_HUB_OFFLINE": ""}
    env["HF_ENDPOINT"] = "http://192.0.2.1"  # an address that never answers (RFC 5737)
    started = time.monotonic()
    done = lookalike("index", photos, "--index", tmp_path / "i", env=env)
    assert time.monotonic() - started < 8  # under five for the decision; the rest is the work
    assert "built-in `lookalike-small-1`" in done.stderr
    assert "--model clip" in done.stderr
    started = time.monotonic()
    again = lookalike("index", photos, "--index", tmp_path / "i", env=env)
    assert again.stderr == ""
    assert "lookalike-small-1" in again.stdout


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    at = ("--index", tmp_path / "i", "--model", "built-in")
    assert "There is nothing to index in" in error("index", tmp_path / "empty", *at)
    assert "nowhere does not exist" in error("index", tmp_path / "nowhere", *at)
    assert "nothing here reads s3://" in error("index", "s3://bucket/prefix", *at)


def test_a_second_process_is_told_who_has_the_index(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(shop / "index", copy)
    with Index.open(copy):
        told = error("stats", "--index", copy, code=1)
    assert f"in use by process {os.getpid()} (" in told
    lookalike("stats", "--index", copy)


# --- search ---------------------------------------------------------------------------------


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
        found = search(shop, "--color", color, "-k", 2)
        assert found["weights"] == {"color": 1.0}
        assert {hit["id"] for hit in found["hits"]} == {"sku-4", "sku-12"}


def test_search_with_weights_and_presets(shop: Path) -> None:
    weighed = search(shop, "--id", "sku-5", "--weights", "semantic=3,color=1")
    assert weighed["weights"] == {"semantic": 0.75, "color": 0.25}
    for hit in weighed["hits"]:
        blend = 0.75 * hit["scores"]["semantic"] + 0.25 * hit["scores"]["color"]
        assert hit["score"] == pytest.approx(blend, abs=1e-5)
    preset = search(shop, "--id", "sku-5", "--preset", "material")
    assert set(preset["weights"]) == {"semantic", "color", "texture"}


def test_search_where_offset_and_table(shop: Path) -> None:
    where = 'price < 10 and category = "dress" and in_stock'
    found = search(shop, "--id", "sku-5", "--where", where)
    assert {hit["id"] for hit in found["hits"]} == {"sku-1", "sku-3", "sku-7"}
    rest = search(shop, "--id", "sku-5", "--where", where, "--offset", 1)
    assert rest["hits"] == found["hits"][1:]
    table = lookalike("search", "--index", shop / "index", "--id", "sku-5", "-k", 2).stdout
    assert "Thing" in table
    assert "semantic" in table


def test_search_writes_a_sheet_that_needs_nothing_else(shop: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.html"
    file = shop / "photos" / "005.jpg"
    lookalike("search", "--index", shop / "index", "--image", file, "--html", sheet)
    html = sheet.read_text(encoding="utf-8")
    assert html.count("data:image/jpeg;base64,") == 11
    assert not re.search(r'(src|href)="?(http|//|file|/)', html)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-k", "0", "--id", "sku-1"], "limit is 0"),
        ([], "Nothing to search by"),
        (["--id", "nobody"], "no image with the id 'nobody'"),
        (["--id", os.fsdecode(b"\xff")], "no image with the id"),
        (["--image", "nowhere.jpg"], "nowhere.jpg does not exist"),
        (["--color", "reddd"], "no color 'reddd'; did you mean"),
        (["--id", "sku-1", "--weights", "shape=1"], "no aspect 'shape'"),
        (["--id", "sku-1", "--weights", "color"], "'color' is not NAME=VALUE"),
        (["--id", "sku-1", "--weights", "color=much"], "A weight is a number"),
        (["--id", "sku-1", "--preset", "x"], "no preset 'x'"),
        (["--id", "sku-1", "--preset", "style", "--weights", "color=1"], "give one of them"),
        (["--text", "a dress"], "knows no words"),
        (["--id", "sku-1", "--where", "prise < 3"], 'did you mean "price"'),
        (["--id", "sku-1", "--where", "price < cheap"], "price is a number (float)"),
        (["--id", "sku-1", "--bogus"], "No such option"),
        (["--id", "sku-1", "-k", "many"], "not a valid integer"),
    ],
)
def test_bad_searches(shop: Path, arguments: Sequence[str], message: str) -> None:
    assert message in error("search", "--index", shop / "index", *arguments)


def test_a_query_image_that_is_none(shop: Path) -> None:
    told = error("search", "--index", shop / "index", "--image", "-", stdin=b"hello")
    assert told.startswith("unsupported_format")


# --- the other commands ---------------------------------------------------------------------


def test_show_facets_and_stats(shop: Path) -> None:
    at = ("--index", shop / "index")
    shown = documents("show", "sku-5", *at, "--vectors")
    assert shown["payload"]["name"] == "Thing 5"
    assert set(shown["vectors"]) == {"lookalike-small-1", "color", "texture", "phash"}
    assert "Thing 5" in lookalike("show", "sku-5", *at).stdout
    counted = documents("facets", "category", *at, "--where", "price < 5")
    assert counted == {
        "field": "category",
        "values": [{"value": "hat", "count": 3}, {"value": "dress", "count": 2}],
    }
    assert "8  dress" in lookalike("facets", "category", *at).stdout
    stats = documents("stats", *at)
    assert stats["images"] == 16
    assert stats["fields"]["category"] == {"type": "keyword", "values": 2}
    assert stats["vectors"]["lookalike-small-1"]["model"] == "lookalike-small-1"
    assert stats["bytes_on_disk"] > 0
    assert {"engine", "schema"} <= set(stats)
    assert "16" in lookalike("stats", *at).stdout
    prices = documents("facets", "price", *at, "--bins", 4)
    assert sum(bin["count"] for bin in prices["bins"]) == prices["count"] == 16
    assert "0 to 5" in lookalike("facets", "price", *at, "--bins", 4).stdout
    assert "cannot have 0 bins" in error("facets", "price", *at, "--bins", 0)
    assert 'did you mean "category"' in error("facets", "categori", *at)


def test_update_delete_and_optimize(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(shop / "index", copy)
    at = ("--index", copy)
    lookalike("update", "sku-5", *at, "--set", "price=99", "--set", "name=")
    payload = documents("show", "sku-5", *at)["payload"]
    assert payload["price"] == 99
    assert "name" not in payload
    assert "no field 'size'" in error("update", "sku-5", *at, "--set", "size=3")
    assert 'price is a float in this index, and "dear" is not a number' in error(
        "update", "sku-5", *at, "--set", "price=dear"
    )
    assert lookalike("delete", "sku-5", "sku-6", "nobody", *at).stdout == "removed 2 of 3\n"
    assert documents("stats", *at)["images"] == 14
    lookalike("optimize", *at)


def test_an_index_that_is_not_there(tmp_path: Path) -> None:
    told = error("stats", "--index", tmp_path / "nothing")
    assert "There is no index at" in told
    assert "lookalike index PATH" in told
    assert not (tmp_path / "nothing").exists()


def test_an_index_that_is_a_file(shop: Path) -> None:
    told = error("stats", "--index", shop / "catalog.csv", code=1)
    assert "is a file, and an index is a folder" in told


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


def test_a_manifest_of_tomorrow(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(shop / "index", copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))
    assert "has schema 99" in error("stats", "--index", copy, code=1)
    del manifest["vectors"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert "is damaged" in error("stats", "--index", copy, code=1)


def test_another_model_than_the_index_s_own(shop: Path) -> None:
    told = error("index", shop / "photos", "--index", shop / "index", "--model", "clip", code=1)
    assert "made with lookalike-small-1 and clip was asked for" in told


def test_unknown_models_name_those_there_are(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 1)
    told = error("index", photos, "--index", tmp_path / "i", "--model", "vgg", code=1)
    assert "no image model 'vgg'" in told
    assert "Qdrant/clip-ViT-B-32-vision" in told


def test_a_file_that_cannot_be_written_is_told_first(shop: Path, tmp_path: Path) -> None:
    told = error("index", shop / "photos", "--index", tmp_path / "i", "--rejects", "/no/where")
    assert "/no/where cannot be written" in told
    assert not (tmp_path / "i").exists()


def test_output_that_nobody_reads_is_no_error(shop: Path) -> None:
    command = f"{sys.executable} -m lookalike show sku-5 --index {shop / 'index'} --json | true"
    assert subprocess.run(["bash", "-c", command], capture_output=True).stderr == b""


@pytest.mark.parametrize(
    "drawn", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["folder", "drawn"]
)
def test_the_demo_shows_three_searches_and_a_sheet(tmp_path: Path, drawn: bool) -> None:
    folder = [] if drawn else [str(folder_of(tmp_path / "photos", 12))]
    sheet = tmp_path / "sheet.html"
    env = {"XDG_DATA_HOME": str(tmp_path / "data"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    told = lookalike("demo", *folder, "--model", "built-in", "--html", sheet, env=env).stdout
    assert f"added {640 if drawn else 12}" in told
    assert told.count(" images, ") == 3
    assert f"contact sheet: {sheet}" in told
    html = sheet.read_text(encoding="utf-8")
    assert html.count("<section>") == 3
    assert html.count("data:image/jpeg;base64,") == 33
    again = lookalike("demo", *folder, "--html", sheet, env=env).stdout
    assert f"unchanged {640 if drawn else 12}" in again


# --- what users meet first ------------------------------------------------------------------


def test_help_is_quick() -> None:
    def seconds(*arguments: str) -> float:
        started = time.monotonic()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
        return time.monotonic() - started

    bare = min(seconds("-c", "pass") for _ in range(3))
    assert min(seconds("-m", "lookalike", "--help") for _ in range(3)) - bare < 0.5
    assert min(seconds("-c", "import lookalike") for _ in range(3)) - bare < 0.2


def test_every_command_and_option_is_documented() -> None:
    page = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    for name, command in cli.cli.commands.items():
        section = re.search(rf"^## `lookalike {name}.*?(?=^## |\Z)", page, re.M | re.S)
        assert section, f"docs/cli.md has no section on `lookalike {name}`"
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts} has no help"
                for option in parameter.opts:
                    assert f"`{option}" in section[0], f"docs/cli.md: {name} {option}"


def test_the_settings_name_an_index(shop: Path) -> None:
    stats = documents("stats", env={"LOOKALIKE_INDEX": str(shop / "index")})
    assert stats["images"] == 16


def test_text_finds_with_a_model_that_knows_words(data: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for kind in ("shoes", "hat"):
        for file in sorted((data / "catalog" / "images" / kind).iterdir())[:12]:
            shutil.copy(file, photos / f"{kind}-{file.name}")
    at = ("--index", tmp_path / "index")
    lookalike("index", photos, *at, "--model-dir", data / "standin-clip")
    found = documents("search", *at, "--text", "shoes", "-k", 10)
    shoes = [hit for hit in found["hits"] if "/shoes-" in hit["id"]]
    assert len(shoes) >= 8
    told = error("index", photos, *at, "--model-dir", data / "standin-clip" / "text", code=1)
    assert "dimensions" in told or "cannot be loaded" in told
    draw(1).save(tmp_path / "one.png")
    mixed = documents("search", *at, "--text", "shoes", "--image", tmp_path / "one.png")
    assert mixed["weights"] == {"semantic": 1.0}


# --- composed searches, examples, many at once ----------------------------------------------


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
    asked = ("search", "--id", "sku-1", "--preset", "style", "--index", shop / "index")
    document = documents(*asked)
    plan = document["explanation"]
    assert set(plan["aspects"]) == {"semantic", "color"}
    assert set(plan["milliseconds"]) == {"targets", "engine", "ranking"}
    for hit in document["hits"]:
        counted = {a: p["effective"] * hit["scores"][a] for a, p in plan["aspects"].items()}
        assert sum(counted.values()) == pytest.approx(hit["score"], abs=1e-5)
        assert sum(hit["shares"].values()) == pytest.approx(1) or not any(hit["shares"].values())
    shown = lookalike(*asked, "--explain").stdout
    for word in ("calibrated", "random images", "factor", "requests to the engine"):
        assert word in shown


def test_recommend_leaves_the_examples_out(shop: Path) -> None:
    at = ("--index", shop / "index")
    likes = ("--like", "sku-1", "--like", shop / "photos/002.jpg", "--unlike", "sku-3")
    for strategy in ("average", "best", "sum"):
        found = documents("recommend", *likes, "--strategy", strategy, "-k", 20, *at)["hits"]
        assert not {"sku-1", "sku-2", "sku-3"} & {hit["id"] for hit in found}
    assert len(documents("recommend", "--unlike", "sku-3", "-k", 20, *at)["hits"]) == 15
    assert "neither an image of this index nor a file" in error("recommend", "--like", "nix", *at)
    assert "Nothing to search by" in error("recommend", *at)


def test_hits_can_be_spread_collapsed_and_cut_off(shop: Path) -> None:
    asked = ("search", "--id", "sku-1", "--index", shop / "index")
    spread = documents(*asked, "--diversity", 0.8, "--collapse", "--relevant", "-k", 5)
    assert all("variants" in hit for hit in spread["hits"])
    assert "diversity is 2" in error(*asked, "--diversity", 2)


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
    queries.write_text("[1]")
    assert "Line 1 of the queries is no JSON object" in error("batch", queries, *at)
    assert "cannot be read" in error("batch", tmp_path / "none", *at)


# --- copies and backups ---------------------------------------------------------------------


def test_an_index_moves_and_answers_the_same(shop: Path, tmp_path: Path) -> None:
    asked = ("search", "--id", "sku-1", "--preset", "style", "--index")
    before = documents(*asked, shop / "index")["hits"]
    done = documents("copy", shop / "index", tmp_path / "copy")
    assert done["images"] == done["sent"] == 16
    assert documents(*asked, tmp_path / "copy")["hits"] == before
    lookalike("backup", tmp_path / "shop.backup", "--index", shop / "index")
    assert (
        "16 images"
        in lookalike("restore", tmp_path / "shop.backup", "--index", tmp_path / "restored").stdout
    )
    assert documents(*asked, tmp_path / "restored")["hits"] == before
    assert "already holds an index" in error("copy", shop / "index", tmp_path / "copy")


def test_a_server_is_named_by_its_address(tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", 1)
    at = ("--index", "http://127.0.0.1:9/shop")
    assert "127.0.0.1:9" in error("index", tmp_path / "photos", *at, code=1)
    asked = ("index", tmp_path / "photos", *at, "--server")
    assert "no option 'shards'; it has shard_number" in error(*asked, "shards=3")
    assert "shard_number cannot be 'many'" in error(*asked, "shard_number=many")


def test_plan_says_what_it_takes() -> None:
    asked = ("plan", "--images", "100M", "--replicas", 2, "--latency", "20ms")
    found = documents(*asked)
    assert found["images"] == 100_000_000
    assert found["nodes"] * found["ram_per_node"] >= found["ram"] * 0.99
    shown = lookalike(*asked).stdout
    assert "shards" in shown
    assert f"nodes  {found['nodes']}, each" in shown
    assert "many" in error("plan", "--images", "many")
