"""Child processes of ours, which do what must not happen in this one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

# The child runs without `site` and imports from where the parent does, so that it starts fast and
# finds the same packages however the parent came by them; it needs no `__main__`.
_BOOT = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])["path"]
importlib.import_module(sys.argv[2]).main()
"""
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class Started(NamedTuple):
    """A child, its standard input and its standard output."""

    process: subprocess.Popen[bytes]
    to: IO[bytes]
    out: IO[bytes]


def start(
    module: str, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Started:
    """Starts a child that calls `main()` of a module, and does not wait for it.

    Args:
        module: its full name.
        settings: what `main` finds as JSON in `sys.argv[1]`.
        environment: variables that it has beside those of this process.

    Raises:
        OSError: no process can be started.
    """
    home = str(Path(__file__).resolve().parents[2])
    path = [*(entry for entry in sys.path if isinstance(entry, str)), home]
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps({"path": path, **settings}), module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **_ONE_THREAD, **(environment or {})},
        start_new_session=True,  # Ctrl-C is for the parent to handle
    )
    assert process.stdin is not None  # noqa: S101  for the type checker
    assert process.stdout is not None  # noqa: S101
    return Started(process, process.stdin, process.stdout)
