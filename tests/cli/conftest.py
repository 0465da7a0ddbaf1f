"""Fixtures for the tests of the command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import lookalike_process
from tests.support.pictures import folder_of


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `photos`, `catalog.csv` and their `index`; tests must not change it."""
    shop = tmp_path_factory.mktemp("shop")
    folder_of(shop / "photos", 16)
    lines = ["id,file,name,category,price,in_stock"] + [
        f"sku-{i},photos/{i:03}.jpg,Thing {i},{('hat', 'dress')[i % 2]},{i}.5,{str(i < 8).lower()}"
        for i in range(16)
    ]
    (shop / "catalog.csv").write_text("\n".join(lines), encoding="utf-8")
    lookalike_process(
        "index", shop / "photos", "--metadata", shop / "catalog.csv", "--model", "built-in",
        "--index", shop / "index",
    )  # fmt: skip
    return shop
