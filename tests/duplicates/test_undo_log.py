"""The undo log has the documented keys, survives interruption, and is told from other files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lookalike.errors import InputError, SchemaTooNew
from tests.duplicates.files import all_indexed, delete, indexed, move_aside, tree, undo


def test_the_log_reads_as_documented(folders: Path, tmp_path: Path) -> None:
    log = tmp_path / "new" / "log"
    file = indexed(folders / "one/a.jpg")
    move_aside([file], tmp_path / "aside", log, dry_run=False)
    line = json.loads(log.read_text())
    assert line["version"] == 1
    assert line["time"].endswith("Z")
    assert line["action"] == "move"
    assert line["from"] == file.uri
    assert line["to"] == str(tmp_path / "aside" / "a.jpg")
    assert line["sha256"] == file.sha256
    assert line["keeper"] is None


def test_an_incomplete_line_is_ignored(folders: Path, tmp_path: Path) -> None:
    before, log = tree(folders), tmp_path / "log"
    one, *others = all_indexed(folders)
    move_aside([one], tmp_path / "aside", log, dry_run=False)
    with log.open("a") as file:
        file.write('{"version": 1, "ti')
    move_aside(others, tmp_path / "aside", log, dry_run=False)
    assert len([json.loads(line) for line in log.read_text().splitlines()]) == 4
    assert len(undo(log).done) == 4
    assert tree(folders) == before


def test_other_files_are_not_written_to(folders: Path, tmp_path: Path) -> None:
    wrong = folders / "one/a.jpg"
    before = tree(folders)
    newer = tmp_path / "newer"
    line = dict.fromkeys(("time", "action", "from", "to", "sha256", "keeper", "token"), "x")
    newer.write_text(json.dumps({"version": 3, **line}) + "\n")
    for dry_run in (True, False):
        with pytest.raises(InputError, match="not a log of moved files"):
            move_aside(all_indexed(folders), tmp_path / "aside", wrong, dry_run=dry_run)
        with pytest.raises(SchemaTooNew, match="version 3"):
            delete([], newer, dry_run=dry_run)
    with pytest.raises(InputError, match="cannot be written"):
        move_aside([], tmp_path, folders / "one" / "b.jpg" / "log", dry_run=False)
    with pytest.raises(InputError, match="cannot be read"):
        undo(tmp_path / "none")
    (tmp_path / "damaged").write_text("[1]\n{}\n")
    with pytest.raises(InputError, match="line 1"):
        undo(tmp_path / "damaged")
    assert tree(folders) == before
