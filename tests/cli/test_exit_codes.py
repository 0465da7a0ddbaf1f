"""Exit codes: the same in every command, as docs/cli.md says."""

from __future__ import annotations

from pathlib import Path

import pytest

from lookalike import cli
from tests.support.command_line import error, lookalike

ARGUMENTS: dict[str, tuple[str, ...]] = {
    "backup": ("{tmp}/b.lookalike",),
    "batch": ("{tmp}/queries.jsonl",),
    "cluster": ("status",),
    "copy": ("{missing}", "{tmp}/copy"),
    "decide": ("a", "b", "--not-duplicates"),
    "delete": ("a",),
    "demo": (),
    "duplicates": (),
    "evaluate": ("category",),
    "export": ("{tmp}/table.csv",),
    "facets": ("category",),
    "index": ("{missing}/photos", "--model", "built-in"),
    "models": (),
    "optimize": (),
    "plan": (),
    "precision": ("{missing}", "--model", "dinov2"),
    "recommend": ("--like", "a"),
    "mcp": (),
    "migrate": ("status", "--index", "{missing}"),
    "restore": ("{tmp}/b.lookalike",),
    "search": ("--id", "a"),
    "serve": (),
    "show": ("a",),
    "stats": (),
    "undo": ("{missing}/log.jsonl",),
    "update": ("a", "--set", "price=1"),
    "verify": (),
    "doctor": (),
    "watch": ("{missing}",),
    "words": (),
}
"""Arguments that a command needs."""

MAKES_OR_NEEDS_NO_INDEX = {"demo", "models", "plan", "precision", "restore", "words"}


def test_all_commands_are_here() -> None:
    assert set(ARGUMENTS) == set(cli.cli.commands)


@pytest.mark.parametrize("command", sorted(ARGUMENTS))
def test_help_is_success_and_unknown_options_are_misuse(command: str) -> None:
    assert "Usage:" in lookalike(command, "--help", code=0).stdout
    assert "--no-such-option" in error(command, "--no-such-option", code=2)


@pytest.mark.parametrize("command", sorted(set(ARGUMENTS) - MAKES_OR_NEEDS_NO_INDEX))
def test_an_index_that_is_not_there_is_misuse(command: str, tmp_path: Path) -> None:
    (tmp_path / "queries.jsonl").write_text('{"id": "a"}\n')
    missing = tmp_path / "missing"
    arguments = [one.format(tmp=tmp_path, missing=missing) for one in ARGUMENTS[command]]
    options = {name for one in cli.cli.commands[command].params for name in one.opts}
    at = ["--index", missing] if "--index" in options else []
    error(command, *arguments, *at, code=2)
    assert not missing.exists()


@pytest.mark.parametrize("command", ["stats", "search", "verify", "export"])
def test_an_index_that_is_damaged_is_a_failure(command: str, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    folder.mkdir()
    (folder / "manifest.json").write_text("{")
    arguments = [one.format(tmp=tmp_path, missing="") for one in ARGUMENTS[command]]
    lookalike(command, *arguments, "--index", folder, code=1)
