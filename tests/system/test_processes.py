"""Limits of a process."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource
from lookalike.system.processes import allow_open_files
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
allow_open_files(500)
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such limit")
@pytest.mark.parametrize(
    ("soft", "hard", "allowed"), [(256, 900, 500), (256, 300, 300), (700, 900, 700)]
)
def test_open_files_are_allowed_as_far_as_the_system_does(
    soft: int, hard: int, allowed: int
) -> None:
    command = [sys.executable, "-c", CODE.format(soft=soft, hard=hard)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(allowed), str(hard)]
