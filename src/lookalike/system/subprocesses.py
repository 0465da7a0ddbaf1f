"""Child processes that run a module of this package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

# A child runs without `site`, which makes it start fast, and with the parent's import path, so that
# it finds the same packages wherever they come from. It needs no `__main__`.
_BOOT = """
import importlib, json, sys
sys.path[:] = json.loads(sys.argv[1])["path"]
importlib.import_module(sys.argv[2]).main()
"""
# Idle threads of OpenBLAS and OpenMP spin on cores that other children need.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}

_KEYS = {"LOOKALIKE_READ_KEY", "LOOKALIKE_WRITE_KEY", "QDRANT_API_KEY"}
"""Variables that no child needs; one that decodes hostile files had better not have them."""


class Started(NamedTuple):
    """A child process with its standard input and output."""

    process: subprocess.Popen[bytes]
    stdin: IO[bytes]
    stdout: IO[bytes]


def start(
    module: str, settings: Mapping[str, Any], environment: Mapping[str, str] | None = None
) -> Started:
    """Starts a child process that calls `main()` of a module, without waiting for it.

    Args:
        module: its full name.
        settings: passed to `main` as JSON in `sys.argv[1]`.
        environment: variables to set in addition to those of this process, whose keys are left
            out.

    Raises:
        OSError: the process cannot be started.
    """
    package_parent = str(Path(__file__).resolve().parents[2])
    path = [*(entry for entry in sys.path if isinstance(entry, str)), package_parent]
    inherited = {name: value for name, value in os.environ.items() if name not in _KEYS}
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _BOOT, json.dumps({"path": path, **settings}), module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**inherited, **_ONE_THREAD, **(environment or {})},
        start_new_session=True,  # so that Ctrl-C reaches the parent only
    )
    assert process.stdin is not None  # noqa: S101  for the type checker
    assert process.stdout is not None  # noqa: S101
    return Started(process, process.stdin, process.stdout)
