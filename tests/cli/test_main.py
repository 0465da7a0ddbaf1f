"""Behavior that all commands share: help, settings, errors, exit codes, pipes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import click

from lookalike import cli
from lookalike.index import Index
from tests.support.command_line import documents, error, lookalike, lookalike_process
from tests.support.indexes import copied
from tests.support.paths import ROOT
from tests.support.pictures import folder_of


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
        parts = command.commands.values() if isinstance(command, click.Group) else [command]
        for parameter in (one for part in parts for one in part.params):
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts} has no help"
                for option in parameter.opts:
                    assert f"`{option}" in section[0], f"docs/cli.md: {name} {option}"


def test_the_settings_name_an_index(shop: Path) -> None:
    stats = documents("stats", env={"LOOKALIKE_INDEX": str(shop / "index")})
    assert stats["images"] == 16


def test_an_index_that_is_not_there(tmp_path: Path) -> None:
    message = error("stats", "--index", tmp_path / "nothing", run=lookalike_process)
    assert "There is no index at" in message
    assert "lookalike index PATH" in message
    assert not (tmp_path / "nothing").exists()


def test_an_index_that_is_a_file(shop: Path) -> None:
    message = error("stats", "--index", shop / "catalog.csv", code=1)
    assert "is a file, but an index is a folder" in message


def test_a_manifest_of_tomorrow(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    copied(shop / "index", copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "schema": 99}))
    assert "has schema 99" in error("stats", "--index", copy, code=1)
    del manifest["vectors"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert "is damaged" in error("stats", "--index", copy, code=1)


def test_a_second_process_is_told_who_has_the_index(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    copied(shop / "index", copy)
    with Index.open(copy):
        message = error("stats", "--index", copy, "--wait", "1", code=1, run=lookalike_process)
    assert f"in use by process {os.getpid()} (" in message
    lookalike("stats", "--index", copy)


def test_output_that_nobody_reads_is_no_error(shop: Path) -> None:
    command = f"{sys.executable} -m lookalike show sku-5 --index {shop / 'index'} --json | true"
    assert subprocess.run(["bash", "-c", command], capture_output=True).stderr == b""


def test_without_a_command_it_shows_the_help() -> None:
    shown = lookalike().stdout
    assert shown == lookalike("--help").stdout
    assert "Commands:" in shown


def test_tables_in_pipes_are_neither_wrapped_nor_cut(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / ("a long name of a folder" * 4), 2)
    long = "word " * 60
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(folder)
        id = str(folder / "000.jpg")
        index.update(id, {"note": long.strip(), "name": "n" * 90})
    found = lookalike("search", "--id", folder / "001.jpg", "--explain", "--index",
                      tmp_path / "index", env={"COLUMNS": "40"}).stdout  # fmt: skip
    row = next(line for line in found.splitlines() if id in line)
    assert long.strip() in row
    assert "n" * 90 in row
    assert found.splitlines()[0] == f"like {folder / '001.jpg'}"
    assert "1 image, " in found
    shown = lookalike("show", id, "--index", tmp_path / "index", env={"COLUMNS": "40"}).stdout
    assert any(long.strip() in line for line in shown.splitlines())
    assert not any(line != line.rstrip() for line in [*found.splitlines(), *shown.splitlines()])
