"""Nodes that can be killed, frozen and restarted: processes in front of a stand-in server."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.qdrant_wire.grpc_api import GrpcServer
from tests.support.qdrant_wire.rest_api import RestServer
from tests.support.qdrant_wire.store import Store

_FIRST_PORT, _PORTS, _WORKERS = 16_000, 1_000, 16
_RELAY = Path(__file__).with_name("relay.py")


class Node:
    """A node of a cluster, a process of its own with two ports, the second of which is gRPC's.

    Args:
        store: the state of the server, which is told when the node is there.
        number: number of the node.
        rest: port of the server's REST API.
        grpc: port of its gRPC API.
    """

    def __init__(self, store: Store, number: int, rest: int, grpc: int) -> None:
        self._store = store
        self._number = number
        self.port = free_ports(2)
        self._targets = [f"{self.port}:{rest}", f"{self.port + 1}:{grpc}"]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def start(self) -> None:
        command = [sys.executable, "-S", str(_RELAY), "127.0.0.1", *self._targets]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"
        self._store.regain(self._number)

    def kill(self) -> None:
        self._store.lose(self._number)
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def freeze(self) -> None:
        assert self._process is not None
        self._store.lose(self._number)
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)
        self._store.regain(self._number)


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
        self.nodes = [
            Node(self.store, number, rest.port, grpc.port)
            for number, (rest, grpc) in enumerate(self._servers)
        ]

    @property
    def url(self) -> str:
        """The address of a collection there, with all nodes."""
        return self.address("catalog")

    def address(self, collection: str) -> str:
        """The address of a collection, with all nodes."""
        return f"http://{','.join(f'127.0.0.1:{node.port}' for node in self.nodes)}/{collection}"

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


def free_ports(count: int) -> int:
    """The first of several neighboring ports that are free.

    None of them is one that the system gives to connections, as a node that is away would find its
    port taken; and each process of the tests has ports of its own.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    while True:
        port = _FIRST_PORT + worker * _PORTS + random.randrange(_PORTS - count)
        with ExitStack() as stack, suppress(OSError):
            for number in range(count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port + number))
            return port
