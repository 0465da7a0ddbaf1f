"""Nodes that can be killed, frozen and restarted: processes in front of a stand-in server."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.qdrant_wire.grpc_api import GrpcServer
from tests.support.qdrant_wire.rest_api import RestServer
from tests.support.qdrant_wire.store import Store

_RELAY = Path(__file__).with_name("relay.py")


class Node:
    """A node of a cluster, a process of its own with two ports, the second of which is gRPC's."""

    def __init__(self, rest: int, grpc: int) -> None:
        self.port = _two_ports()
        self._targets = [f"{self.port}:{rest}", f"{self.port + 1}:{grpc}"]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-S", str(_RELAY), "127.0.0.1", *self._targets]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


class Cluster:
    """Nodes in front of one store: each answers for all, from one of the replicas.

    Attributes:
        store: the state of the server behind them.
        nodes: the processes.
    """

    def __init__(self, count: int = 3, replicas: int = 1) -> None:
        self.store = Store(replicas=replicas, nodes=count)
        self._servers = [
            (RestServer(self.store, node=i), GrpcServer(self.store, node=i)) for i in range(count)
        ]
        self.nodes = [Node(rest.port, grpc.port) for rest, grpc in self._servers]

    @property
    def url(self) -> str:
        """The address of a collection there, with all nodes."""
        return f"http://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}/catalog"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for node in self.nodes:
            node.kill()
        for rest, grpc in self._servers:
            rest.close()
            grpc.close()


def _two_ports() -> int:
    """The first of two neighboring ports that are free."""
    while True:
        with socket.socket() as one, socket.socket() as two:
            one.bind(("127.0.0.1", 0))
            port: int = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
            except OSError:
                continue
            return port
