"""docs/api.md is true: its commands run, and it covers every route and every error."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lookalike.api.app import create_app
from lookalike.api.errors import ServiceError
from lookalike.api.problems import STATUSES
from lookalike.index import Index
from tests.support.api_server import options, running, small_index
from tests.support.paths import ROOT
from tests.support.pictures import draw, folder_of

PAGE = (ROOT / "docs" / "api.md").read_text("utf-8")
LINES = [
    line.strip()
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.replace("\\\n", " ").splitlines()
    if line.startswith("curl")
]


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_every_line_of_the_page_runs(data: Path, tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", 9, first=1)
    rows = [f"sku-{i},{i:03}.jpg,{i * 10},{('dress', 'hat')[i % 2]},true" for i in range(1, 9)]
    (tmp_path / "catalog.csv").write_text("id,file,price,category,in_stock\n" + "\n".join(rows))
    folder_of(tmp_path / "root" / "new", 2, first=20)
    draw(3).save(tmp_path / "photo.jpg")
    draw(50).save(tmp_path / "other.jpg")
    (tmp_path / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\nmax-time = 30\n")
    environment = {**os.environ, "CURL_HOME": str(tmp_path), "KEY": "not-required"}
    with Index.open(
        tmp_path / "index", model_dir=data / "standin-clip", threads=1, subprocess=True
    ) as index:
        index.add(tmp_path / "photos", metadata=tmp_path / "catalog.csv")
        with running(index, options(tmp_path, roots=(tmp_path / "root",))) as (_, url):
            for line in LINES:
                command = line.replace("http://127.0.0.1:8765", url)
                result = subprocess.run(
                    ["bash", "-c", command],
                    cwd=tmp_path,
                    env=environment,
                    capture_output=True,
                    text=True,
                )
                assert result.returncode == 0, (line, result.stdout, result.stderr)
                if result.stdout.startswith("{"):
                    document = json.loads(result.stdout)
                    if "upload" in document:
                        environment["TOKEN"] = document["upload"]
                    if isinstance(document.get("job"), str):
                        environment["JOB"] = document["job"]


def test_every_route_and_every_error_is_documented(tmp_path: Path) -> None:
    with small_index(tmp_path, 2) as index:
        document = create_app(index, options(tmp_path)).openapi()
    documented = set()
    for line in LINES:
        path = re.search(r"http://127\.0\.0\.1:8765([^?\s\"]*)", line)
        method = re.search(r"-X (\w+)", line)
        body = re.search(r" (-d|-F) ", line)
        assert path
        documented.add((method[1] if method else "POST" if body else "GET", path[1]))
    routes = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert routes - documented == set()
    assert documented - routes == {("GET", "/v1/openapi.json")}
    for error in [*STATUSES, *ServiceError.__subclasses__()]:
        assert f"`{error.__name__}`" in PAGE, error


def test_the_json_of_the_page_is_json() -> None:
    for block in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        for document in re.split(r"\n(?=\{)", block.strip()):
            json.loads(document)
