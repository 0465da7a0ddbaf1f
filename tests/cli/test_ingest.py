"""`index`, `update`, `delete` and `optimize` as a user sees them."""

from __future__ import annotations

import json
import time
from contextlib import closing
from pathlib import Path

from lookalike.index import Index
from tests.support.command_line import documents, error, lookalike, lookalike_process
from tests.support.indexes import copied
from tests.support.pictures import folder_of
from tests.support.qdrant_wire import RestServer, Store


def test_index_says_what_it_did(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 4)
    (photos / "bad\x1b[31m.jpg").write_text("x")
    shown = lookalike_process(
        "index", photos, "--index", tmp_path / "i", "--model", "built-in"
    ).stdout
    assert "added 4 · updated 0 · unchanged 0 · rejected 1 · removed 0" in shown
    assert "rejected: 1 unsupported_format" in shown
    assert r"bad\x1b[31m.jpg: unsupported_format" in shown
    assert "\x1b" not in shown


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
    done = lookalike_process(
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
    done = lookalike_process("index", photos, "--index", tmp_path / "i", env=env)
    assert time.monotonic() - started < 8  # under five for the decision; the rest is the work
    assert "built-in model `lookalike-small-1`" in done.stderr
    assert "--model clip" in done.stderr
    started = time.monotonic()
    again = lookalike_process("index", photos, "--index", tmp_path / "i", env=env)
    assert again.stderr == ""
    assert "lookalike-small-1" in again.stdout


def test_paths_that_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    at = ("--index", tmp_path / "i", "--model", "built-in")
    assert "There is nothing to index in" in error("index", tmp_path / "empty", *at)
    assert "nowhere does not exist" in error("index", tmp_path / "nowhere", *at)
    assert "there is no source for ftp:// addresses" in error("index", "ftp://host/folder", *at)


def test_a_run_that_fails_leaves_no_empty_index(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 2)
    (tmp_path / "bad.csv").write_text("file,price\nnowhere.jpg,1\n")
    index = tmp_path / "i"
    at = ("--index", index, "--model", "built-in")
    failures = (
        ("index", tmp_path / "nowhere", *at),
        ("index", photos, *at, "--metadata", tmp_path / "missing.csv"),
        ("index", photos, *at, "--metadata", tmp_path / "bad.csv"),
        ("index", photos, *at, "--exclude", "*"),
    )
    for failure in failures:
        error(*failure)
        assert not index.exists()
    error("index", photos, "--index", index, "--model", "vgg", code=1)
    assert not index.exists()
    index.mkdir()
    (index / "notes.txt").write_text("mine")
    (index / "shards.txt").write_text("mine")
    for failure in failures:
        error(*failure)
        assert sorted(path.name for path in index.iterdir()) == ["notes.txt", "shards.txt"]


def test_a_run_that_fails_leaves_no_empty_collection(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 2)
    store = Store()
    with closing(RestServer(store)) as server:
        at = ("--index", server.url, "--model", "built-in")
        error("index", photos, *at, "--metadata", tmp_path / "missing.csv")
        error("index", tmp_path / "nowhere", *at)
        assert store.local.get_collections().collections == []
        error("index", tmp_path / "nowhere", *at, "--partition", "1/2")  # others may be at work
        assert len(store.local.get_collections().collections) == 1
        error("index", tmp_path / "nowhere", *at)
        assert documents("stats", "--index", server.url)["images"] == 0
        documents("index", photos, *at)
        error("index", tmp_path / "nowhere", *at)
        assert documents("stats", "--index", server.url)["images"] == 2


def test_a_run_that_fails_leaves_an_index_that_was_there(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 2)
    Index.open(tmp_path / "i", model="built-in").close()
    error("index", tmp_path / "nowhere", "--index", tmp_path / "i")
    assert documents("stats", "--index", tmp_path / "i")["images"] == 0
    documents("index", photos, "--index", tmp_path / "i")
    error("index", tmp_path / "nowhere", "--index", tmp_path / "i")
    assert documents("stats", "--index", tmp_path / "i")["images"] == 2


def test_a_file_that_cannot_be_written_is_told_first(shop: Path, tmp_path: Path) -> None:
    message = error("index", shop / "photos", "--index", tmp_path / "i", "--rejects", "/no/where")
    assert "/no/where cannot be written" in message
    assert not (tmp_path / "i").exists()


def test_another_model_than_the_index_s_own(shop: Path) -> None:
    message = error("index", shop / "photos", "--index", shop / "index", "--model", "clip", code=1)
    assert "made with lookalike-small-1, not clip: leave out the model" in message


def test_an_unknown_model_is_told_where_the_others_are_listed(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 1)
    message = error("index", photos, "--index", tmp_path / "i", "--model", "vgg", code=1)
    assert "no image model 'vgg'" in message
    assert "`lookalike models` lists them" in message


def test_a_server_is_named_by_its_address(tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", 1)
    at = ("--index", "http://127.0.0.1:9/shop")
    assert "127.0.0.1:9" in error("index", tmp_path / "photos", *at, code=1)
    arguments = ("index", tmp_path / "photos", *at, "--server")
    assert "Unknown server option 'shards'; choose from shard_number" in error(
        *arguments, "shards=3"
    )
    assert "shard_number cannot be 'many'" in error(*arguments, "shard_number=many")


def test_update_delete_and_optimize(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    copied(shop / "index", copy)
    at = ("--index", copy)
    lookalike("update", "sku-5", *at, "--set", "price=99", "--set", "name=")
    payload = documents("show", "sku-5", *at)["payload"]
    assert payload["price"] == 99
    assert "name" not in payload
    lookalike("update", "sku-5", *at, "--set", "size=3", "--set", "code=007")
    payload = documents("show", "sku-5", *at)["payload"]
    assert (payload["size"], payload["code"]) == (3, "007")
    assert "reserved" in error("update", "sku-5", *at, "--set", "image=3")
    assert 'price is a float in this index, and "dear" is not a number' in error(
        "update", "sku-5", *at, "--set", "price=dear"
    )
    assert lookalike("delete", "sku-5", "sku-6", "nobody", *at).stdout == "removed 2 of 3\n"
    assert documents("stats", *at)["images"] == 14
    lookalike("optimize", *at)


def test_a_value_left_out_while_an_older_one_stays_is_a_failure(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 3)
    to = ("--index", tmp_path / "i", "--model", "built-in", "--metadata", tmp_path / "m.csv")
    names = sorted(path.name for path in photos.iterdir())
    for price, code in (("5.5", 0), ("dear", 1), ("5.5", 0)):
        lines = [f"{name},{price}" for name in names]
        (tmp_path / "m.csv").write_text("\n".join(["file,price", *lines]))
        done = lookalike("index", photos, *to, code=code)
        assert ("3 values could not be read" in done.stderr) == (code == 1)


def test_warnings_that_say_the_same_are_one_line(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 60)
    rows = [f"{i:03}.jpg,{'dear' if i in (7, 9) else i}.5" for i in range(60)]
    (tmp_path / "m.csv").write_text("\n".join(["file,price", *rows, "x.jpg,1.5"]))
    at = ("--index", tmp_path / "i", "--model", "built-in")
    shown = lookalike("index", photos, *at, "--metadata", tmp_path / "m.csv").stdout
    assert "metadata warnings: 3\n" in shown
    assert "  1 row names an image that is not listed, such as x.jpg\n" in shown
    expected = 'line 9 (007.jpg): price: "dear.5" is not a number (float); left out'
    assert f"  {expected} (1 more like it)\n" in shown
