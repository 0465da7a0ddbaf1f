"""`copy`, `backup` and `restore` as a user sees them."""

from __future__ import annotations

from pathlib import Path

from tests.support.command_line import documents, error, lookalike


def test_an_index_moves_and_answers_the_same(shop: Path, tmp_path: Path) -> None:
    arguments = ("search", "--id", "sku-1", "--weights", "style", "--index")
    before = documents(*arguments, shop / "index")["hits"]
    done = documents("copy", shop / "index", tmp_path / "copy")
    assert done["images"] == done["sent"] == 16
    assert documents(*arguments, tmp_path / "copy")["hits"] == before
    lookalike("backup", tmp_path / "shop.backup", "--index", shop / "index")
    assert (
        "16 images"
        in lookalike("restore", tmp_path / "shop.backup", "--index", tmp_path / "restored").stdout
    )
    assert documents(*arguments, tmp_path / "restored")["hits"] == before
    assert "already holds an index" in error("copy", shop / "index", tmp_path / "copy")
