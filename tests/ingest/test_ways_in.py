"""Fields by every way in: null, an empty text and an empty list clear, and new fields come in."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest

from lookalike.index import Index
from lookalike.ingest.uploads import Upload
from tests.support.api_server import options, picture, serving
from tests.support.command_line import lookalike
from tests.support.pictures import folder_of

Fields: TypeAlias = Mapping[str, Any]
Way: TypeAlias = Callable[[Path, Fields], None]


def python_put(folder: Path, fields: Fields) -> None:
    with Index.open(folder / "index") as index:
        index.put([Upload((folder / "photos" / "000.jpg").read_bytes(), "there", "one", fields)])


def python_update(folder: Path, fields: Fields) -> None:
    with Index.open(folder / "index") as index:
        index.update("one", fields)


def update_command(folder: Path, fields: Fields) -> None:
    texts = {
        name: "|".join(value or ()) if isinstance(value, list) else "" if value is None else value
        for name, value in fields.items()
    }
    sets = [part for name, text in texts.items() for part in ("--set", f"{name}={text}")]
    lookalike("update", "one", *sets, "--index", folder / "index")


def by_http(folder: Path, send: Callable[[httpx.Client], httpx.Response]) -> None:
    with Index.open(folder / "index") as index, serving(index, options(folder)) as client:
        response = send(client)
        assert response.status_code == 200, response.text


def http_post(folder: Path, fields: Fields) -> None:
    items = json.dumps([{"id": "one", "fields": fields}])
    files = {"files": picture(1)}
    by_http(folder, lambda c: c.post("/v1/images", files=files, data={"items": items}))


def http_put(folder: Path, fields: Fields) -> None:
    data, files = {"fields": json.dumps(fields)}, {"image": picture(1)}
    by_http(folder, lambda c: c.put("/v1/image", params={"id": "one"}, files=files, data=data))


def http_patch(folder: Path, fields: Fields) -> None:
    body = {"fields": dict(fields)}
    by_http(folder, lambda c: c.patch("/v1/image", params={"id": "one"}, json=body))


def json_lines(folder: Path, fields: Fields) -> None:
    """A row is the whole truth, so it gives the fields that stay, too."""
    row = {"id": "one", "file": "000.jpg", "kept": "yes", **fields}
    add(folder, "rows.jsonl", json.dumps(row))


def comma_separated(folder: Path, fields: Fields) -> None:
    row = {"id": "one", "file": "000.jpg", "kept": "yes"} | {
        name: "|".join(value) if isinstance(value, list) else value
        for name, value in fields.items()
    }
    path = folder / "rows.csv"
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    add(folder, path.name, path.read_text())


def parquet(folder: Path, fields: Fields) -> None:
    arrow = pytest.importorskip("pyarrow")
    row = {"id": "one", "file": "000.jpg", "kept": "yes", **fields}
    arrow.parquet = pytest.importorskip("pyarrow.parquet")
    arrow.parquet.write_table(arrow.Table.from_pylist([row]), folder / "rows.parquet")
    add(folder, "rows.parquet")


def add(folder: Path, name: str, text: str | None = None) -> None:
    if text is not None:
        (folder / name).write_text(text)
    with Index.open(folder / "index") as index:
        types = {"kept": "keyword"}
        index.add(folder / "photos", metadata=folder / name, fields=types)


WAYS: list[Way] = [
    python_put, python_update, update_command, http_post, http_put, http_patch, json_lines,
    comma_separated, parquet,
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_a_missing_value_clears_and_a_new_field_comes_in(tmp_path: Path, way: Way) -> None:
    folder_of(tmp_path / "photos", 1)
    Index.open(tmp_path / "index", model="built-in").close()
    json_lines(tmp_path, {"price": 5, "tags": ["a"], "name": "x"})
    way(tmp_path, {"price": None, "tags": [], "name": "", "never": None, "rating": 4})
    with Index.open(tmp_path / "index") as index:
        payload = index.get("one").payload
        assert {name: payload[name] for name in payload if name != "image"} == {
            "kept": "yes",
            "rating": 4,
        }
        assert "never" not in index.fields
        assert index.count("rating = 4") == 1
