"""`show`, `facets` and `stats` as a user sees them."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import documents, error, lookalike


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
