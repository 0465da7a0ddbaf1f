"""`show`, `facets`, `stats`, `verify` and `doctor` as a user sees them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.support.command_line import documents, error, lookalike
from tests.support.indexes import copied


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
    named = ("--where", "price < :max and category ~= :kind", "--param", "max=5")
    hats = documents("facets", "category", *at, *named, "--param", "kind=HAT")
    assert hats["values"] == [{"value": "hat", "count": 3}]
    assert ":kind" in error("facets", "category", *at, *named)
    assert "NAME=VALUE" in error("facets", "category", *at, "--param", "max")
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


def test_a_sound_index_is_verified(shop: Path) -> None:
    assert "16 images read" in lookalike("verify", "--index", shop / "index").stdout
    assert documents("verify", "--index", shop / "index")["problems"] == []


def test_a_sound_index_is_examined(shop: Path) -> None:
    at = ("--index", shop / "index")
    shown = lookalike("doctor", *at).stdout
    assert "16 images" in shown
    assert "recall@10" in shown
    assert "fine  Nothing is missing" in shown
    found = documents("doctor", *at, "--probes", 5)
    assert found["vectors"]["color"]["recall"] == {"mean": 1, "low": 1, "high": 1}
    assert found["rejects"] == []
    assert {one["level"] for one in found["findings"]} == {"fine"}


def test_a_damaged_index_is_named_verified_and_salvaged(shop: Path, tmp_path: Path) -> None:
    at = ("--index", copied(shop / "index", tmp_path / "index"))
    (mappings,) = (tmp_path / "index").rglob("*id_tracker.mappings")
    shutil.rmtree(mappings.parent)
    for command in (
        ("stats",),
        ("doctor",),
        ("search", "--id", "sku-1"),
        ("index", shop / "photos"),
    ):
        assert "see what is left with `lookalike verify`" in error(*command, *at, code=1)
    assert "is damaged" in error("backup", tmp_path / "backup", *at, code=1)
    assert not (tmp_path / "backup").exists()
    lines = lookalike("verify", *at, code=1).stdout.splitlines()
    assert "missing or cut short" in lines[0]
    assert "lookalike copy --salvage" in lines[0]
    assert lines[-1].endswith(": damaged")
    document = json.loads(lookalike("verify", *at, "--json", code=1).stdout)
    assert document["problems"][0]["remedy"].startswith("restore a backup")
    lookalike("copy", tmp_path / "index", tmp_path / "rest", "--salvage")
    lookalike(
        *("index", shop / "photos", "--metadata", shop / "catalog.csv"),
        *("--index", tmp_path / "rest", "--model", "built-in"),
    )
    assert documents("verify", "--index", tmp_path / "rest") | {"seconds": 0} == {
        "images": 16,
        "problems": [],
        "seconds": 0,
    }
