"""Clusters of three nodes that can be lost: real ones, and the doubles of the other tests.

A real one runs where the variable QDRANT_BIN names a Qdrant server's executable, or where Docker
has the image qdrant/qdrant (or the one that QDRANT_IMAGE names).
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol

import httpx

from tests.support import qdrant_wire
from tests.support.qdrant_wire.nodes import free_ports

COUNT = 3


class Node(Protocol):
    """One node.

    Attributes:
        port: port of its REST API on this machine; that of gRPC is the next one.
    """

    port: int

    def start(self) -> None: ...
    def kill(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Nodes:
    """A cluster.

    Attributes:
        nodes: its nodes.
        replicas: replicas of each shard that an index there should have.
        patience: seconds within which replicas recover once all nodes are back.
    """

    nodes: Sequence[Node]
    replicas: int
    patience: float

    def address(self, collection: str) -> str:
        """The address of an index, with all nodes."""
        return f"http://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}/{collection}"

    def wait(self) -> None:
        """Waits until all nodes are ready and in the cluster."""
        deadline = time.monotonic() + 60
        while not all(_is_ready(node.port) for node in self.nodes):
            assert time.monotonic() < deadline, "not all nodes became ready within 60 s"
            time.sleep(0.1)


def _is_ready(port: int) -> bool:
    with suppress(httpx.HTTPError):
        if httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=2).status_code == 200:
            status = httpx.get(f"http://127.0.0.1:{port}/cluster", timeout=2).json()["result"]
            return len(status["peers"]) == COUNT and status["raft_info"]["leader"] is not None
    return False


@contextmanager
def doubles() -> Iterator[Nodes]:
    """Three doubles, each with a replica of every shard."""
    with qdrant_wire.Cluster(COUNT, replicas=COUNT) as cluster:
        yield Nodes(cluster.nodes, COUNT, 5)


@contextmanager
def qdrant(folder: Path) -> Iterator[Nodes]:
    """Three real nodes, with two replicas of every shard."""
    start = real_nodes()
    assert start is not None
    ports = [free_ports(3) for _ in range(COUNT)]
    nodes = [start(folder / f"node-{i}", port, ports[0]) for i, port in enumerate(ports)]
    cluster = Nodes(nodes, 2, 120)
    try:
        nodes[0].start()
        _wait_for(nodes[0])
        for node in nodes[1:]:
            node.start()
        cluster.wait()
        yield cluster
    finally:
        for node in nodes:
            node.remove()


@cache
def real_nodes() -> Callable[[Path, int, int], _Process | _Container] | None:
    """What makes a real node here; None where nothing does.

    It takes the node's folder, the first of its three ports, and that of the first node.
    """
    if executable := os.environ.get("QDRANT_BIN"):
        found = shutil.which(executable)
        assert found, f"QDRANT_BIN names no executable file: {executable}"
        path = Path(found).resolve()
        return lambda folder, port, first: _Process(path, folder, port, first)
    if image := _image():
        return lambda folder, port, first: _Container(image, port, first)
    return None


def _image() -> str | None:
    """The name of a Docker image that is there."""
    wanted = os.environ.get("QDRANT_IMAGE", "qdrant/qdrant")
    command = ["docker", "image", "ls", "--filter", f"reference={wanted}"]
    try:
        listed = subprocess.run(
            [*command, "--format", "{{.Repository}}:{{.Tag}}"],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return next(iter(listed.stdout.split()), None) if listed.returncode == 0 else None


def _settings(port: int) -> Mapping[str, str]:
    """Settings of a node, whose ports follow each other: REST, gRPC, and that of other nodes."""
    return {
        "QDRANT__CLUSTER__ENABLED": "true",
        "QDRANT__CLUSTER__P2P__PORT": str(port + 2),
        "QDRANT__SERVICE__HOST": "127.0.0.1",
        "QDRANT__SERVICE__HTTP_PORT": str(port),
        "QDRANT__SERVICE__GRPC_PORT": str(port + 1),
        "QDRANT__STORAGE__STORAGE_PATH": "./storage",
        "QDRANT__STORAGE__SNAPSHOTS_PATH": "./snapshots",
        "QDRANT__TELEMETRY_DISABLED": "true",
    }


def _arguments(port: int, first: int) -> list[str]:
    """The arguments by which a node finds the others."""
    arguments = ["--uri", _uri(port)]
    return arguments if port == first else [*arguments, "--bootstrap", _uri(first)]


def _uri(port: int) -> str:
    return f"http://127.0.0.1:{port + 2}"


def _wait_for(node: Node) -> None:
    """Waits until the first node leads a cluster of one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(httpx.HTTPError):
            status = httpx.get(f"http://127.0.0.1:{node.port}/cluster", timeout=2).json()["result"]
            if status.get("raft_info", {}).get("leader") is not None:
                return
        time.sleep(0.1)
    raise AssertionError("the first node did not start within 60 s")


@dataclass(slots=True)
class _Process:
    """A node that is a process of this machine, with its data and its log in a folder."""

    executable: Path
    folder: Path
    port: int
    first: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self.executable), *_arguments(self.port, self.first)],
                cwd=self.folder,
                env={**os.environ, **_settings(self.port)},
                stdout=log,
                stderr=log,
            )

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def freeze(self) -> None:
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def remove(self) -> None:
        self.kill()

    def _signal(self, number: int) -> None:
        assert self._process is not None
        self._process.send_signal(number)


@dataclass(slots=True)
class _Container:
    """A node that is a container on this machine's network."""

    image: str
    port: int
    first: int
    _name: str = field(default_factory=lambda: f"lookalike-{uuid.uuid4()}", init=False)
    _made: bool = field(default=False, init=False)

    def start(self) -> None:
        if self._made:
            _docker("start", self._name)
            return
        settings = [f"--env={name}={value}" for name, value in _settings(self.port).items()]
        arguments = ["./qdrant", *_arguments(self.port, self.first)]
        _docker(
            "run", "-d", "--name", self._name, "--network=host", *settings, self.image, *arguments
        )
        self._made = True

    def kill(self) -> None:
        _docker("kill", "--signal=KILL", self._name)
        _docker("wait", self._name)

    def freeze(self) -> None:
        _docker("pause", self._name)

    def thaw(self) -> None:
        _docker("unpause", self._name)

    def remove(self) -> None:
        if self._made:
            _docker("rm", "--force", "--volumes", self._name)


def _docker(*arguments: str) -> None:
    subprocess.run(["docker", *arguments], check=True, capture_output=True, timeout=60)
