"""Every command works with what it needs alone, and names the extra that it lacks."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.support.pictures import folder_of

_CHILD = """
import json, sys

missing, runs = json.loads(sys.argv[1])


class WithoutMissing:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in missing:
            return self.finder.find_spec(name, path, target)

    def __getattr__(self, name):  # such as those that find the metadata of packages
        return getattr(self.finder, name)


sys.meta_path[:] = map(WithoutMissing, sys.meta_path)
for run in runs:
    if isinstance(run, str):
        exec(run)
        continue
    from lookalike.cli import main

    try:
        main(run)
    except SystemExit as end:
        print(f"{run[0]}: {end.code}")
"""


def _name(text: str) -> str:
    return re.sub(r"[-_.]+", "-", text).lower()


def _needed(distribution: str, extras: set[str], found: set[str]) -> set[str]:
    """The distributions that one needs with some extras, itself included."""
    found.add(_name(distribution))
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:  # of another platform
        return found
    for line in lines:
        wanted = Requirement(line)
        environments = [{"extra": extra} for extra in extras or {""}]
        is_wanted = wanted.marker is None or any(map(wanted.marker.evaluate, environments))
        if is_wanted and _name(wanted.name) not in found:
            _needed(wanted.name, set(wanted.extras), found)
    return found


def run_with(
    extras: set[str], *runs: str | list[str], cwd: Path
) -> subprocess.CompletedProcess[str]:
    """Runs commands and code in a process that has only what the package and extras need."""
    needed = _needed("lookalike", extras, set())
    missing = [
        module
        for module, distributions in packages_distributions().items()
        if not needed & set(map(_name, distributions))
    ]
    return subprocess.run(
        [sys.executable, "-c", _CHILD, json.dumps([missing, runs])],
        capture_output=True,
        text=True,
        cwd=cwd,
        timeout=120,
    )


def test_the_package_alone(tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", 4)
    at = ["--index", "index"]
    commands = [
        ["index", "photos", "--model", "built-in", *at],
        ["search", "--text", "dress", *at],
        ["stats", *at],
        ["doctor", *at],
        ["verify", *at],
        ["duplicates", *at],
        ["export", "table.csv", *at],
        ["words", "--like", "dress"],
        ["models"],
        ["plan", "--images", "1000"],
        ["backup", "file", *at],
    ]
    done = run_with(set(), *commands, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for command in commands:
        assert f"{command[0]}: 0" in done.stdout, done.stderr


def test_a_command_names_the_extra_that_it_lacks(tmp_path: Path) -> None:
    folder_of(tmp_path / "photos", 1)
    commands = [
        ["index", "photos", "--model", "built-in", "--index", "index"],
        ["serve", "--index", "index"],
        ["mcp", "--index", "index"],
        ["watch", "photos", "--index", "index"],
        ["index", "s3://bucket/", "--index", "index"],
        ["export", "table.parquet", "--index", "index"],
        ["stats", "--index", "http://127.0.0.1:1/shop"],
    ]
    done = run_with(set(), *commands, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for extra in ("serve", "mcp", "watch", "cloud", "parquet", "server"):
        assert f"lookalike[{extra}]" in done.stderr


@pytest.mark.parametrize(
    ("extra", "module"),
    [
        ("serve", "lookalike.api.server"),
        ("mcp", "lookalike.api.mcp_server"),
        ("watch", "lookalike.facade.watching.folders"),
        ("cloud", "lookalike.sources.bucket"),
        ("server", "lookalike.engines.server.engine"),
        ("fetch", "lookalike.sources.web.fetcher"),
    ],
)
def test_an_extra_suffices(extra: str, module: str, tmp_path: Path) -> None:
    done = run_with({extra}, f"import {module}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
