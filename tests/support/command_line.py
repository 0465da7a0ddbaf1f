"""Running of the command line in tests, in this process or in a new one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from click.testing import CliRunner

from lookalike import cli

ENVIRONMENT = {"COLUMNS": "140", "HF_HUB_OFFLINE": "1"}


class Output(NamedTuple):
    """Output of a command."""

    stdout: str
    stderr: str


def lookalike(
    *arguments: object,
    code: int = 0,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> Output:
    """Runs a command in this process, which is faster, and checks its exit code."""
    env = ENVIRONMENT | dict(env or {})
    with CliRunner().isolation(input=stdin, env=env) as (stdout, stderr, _):
        try:
            cli.main(list(map(str, arguments)))
        except SystemExit as end:
            exit_code = end.code
    output = Output(stdout.getvalue().decode(), stderr.getvalue().decode())
    assert exit_code == code, output
    return output


def lookalike_process(
    *arguments: object,
    code: int = 0,
    stdin: bytes | None = None,
    env: Mapping[str, str] | None = None,
) -> Output:
    """Runs a command in a process of its own, and checks its exit code."""
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        env={**os.environ, **ENVIRONMENT, **(env or {})},
        timeout=120,
    )
    output = Output(done.stdout.decode(), done.stderr.decode())
    assert done.returncode == code, output
    assert "Traceback" not in output.stderr
    return output


def error(
    *arguments: object, code: int = 2, run: Callable[..., Output] = lookalike, **options: Any
) -> str:
    """Runs a command that must fail with a one-line message, and returns that message."""
    output = run(*arguments, code=code, **options)
    assert output.stdout == ""
    (line,) = output.stderr.strip().splitlines()
    assert line.startswith("lookalike: ")
    return line.removeprefix("lookalike: ")


def documents(*arguments: object, **options: Any) -> Any:
    """Runs a command with --json, and returns its document."""
    return json.loads(lookalike(*arguments, "--json", **options).stdout)
