"""Azurite, the Azure Blob Storage of Microsoft's emulator, for tests: started by npm."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from functools import cache
from pathlib import Path

import httpx
import pytest

from tests.support.object_stores import free_ports, running

ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The account that every Azurite has, and its public key."""
VERSION = "3.37.0"


@contextmanager
def azurite(folder: Path, container: str) -> Iterator[str]:
    """Runs Azurite with an empty container; yields its endpoint."""
    folder.mkdir()
    (port,) = free_ports(1)
    flags = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)]
    quiet = ["--silent", "--disableTelemetry", "--skipApiVersionCheck"]
    with running(
        ["node", _program(), *flags, *quiet],
        folder,
        port,
        lambda url: _create(f"{url}/{ACCOUNT}", container),
    ) as url:
        yield f"{url}/{ACCOUNT}"


@cache
def _program() -> str:
    """The path of Azurite, which npm keeps in its cache."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip("needs npm, which runs Azurite")
    package = f"--package=azurite@{VERSION}"
    command = [npm, "exec", "--yes", package, "--call", "command -v azurite-blob"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        pytest.skip(f"needs Azurite, which npm cannot install: {done.stderr.strip()[-200:]}")
    return done.stdout.strip()


def _create(endpoint: str, container: str) -> None:
    """Creates a container, by a request that is signed as Azure wants it."""
    date, version = formatdate(usegmt=True), "2021-08-06"
    headers = f"x-ms-date:{date}\nx-ms-version:{version}\n"
    resource = f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
    text = "PUT" + "\n" * 12 + headers + resource
    digest = hmac.digest(base64.b64decode(KEY), text.encode(), hashlib.sha256)
    answer = httpx.put(
        f"{endpoint}/{container}?restype=container",
        headers={
            "x-ms-date": date,
            "x-ms-version": version,
            "Content-Length": "0",
            "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
        },
    )
    answer.raise_for_status()
