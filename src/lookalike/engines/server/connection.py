"""Connections to the nodes of a server: their protocol, their version, which of them answer.

Requests go round among the nodes that answer. A node that fails is passed over, and a thread of
its own asks it until it answers again.
"""

from __future__ import annotations

import itertools
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import grpc  # type: ignore[import-untyped]
from qdrant_client import QdrantClient
from qdrant_client import grpc as protocol

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.address import NodeAddress, parse_address
from lookalike.engines.server.errors import FAILURES, failure_of, first_line
from lookalike.errors import EngineError, InputError
from lookalike.system import patience

LEAST_VERSION = (1, 19)
"""The oldest server that qdrant-client 1.20 supports, and the first with the `memory` settings."""
QUICK = 1
"""Seconds that a node has to answer whether it is there, and a request for which a person waits,
before it is asked that."""
_GRPC_PROBE = 2.0
"""Seconds that a node has to answer over gRPC."""
_PAUSE = 0.25
"""Seconds between two attempts to reach a node that was away."""
_CHANNEL = {
    "grpc.initial_reconnect_backoff_ms": 100,
    "grpc.min_reconnect_backoff_ms": 1000,
    "grpc.max_reconnect_backoff_ms": 1000,
}
"""By default gRPC waits for up to two minutes until it connects again, and 20 seconds for an answer
to an attempt."""


class Node:
    """One node of a server, and whether it answers.

    Attributes:
        url: its address, without the collection.
        up: whether it answered last.
        known_away: whether it was asked since it failed, and did not answer.
        error: the last failure.
        version: its version, once it has been asked.
    """

    version: tuple[int, ...] | None = None

    def __init__(self, address: NodeAddress, options: ServerOptions) -> None:
        self.url = address.server
        self.up = True
        self.known_away = False
        self.error = EngineError(f"{self.url} cannot be reached.")
        self._address = address
        self._options = options
        self._checked = False
        self._opening = threading.Lock()

    @cached_property
    def grpc_failure(self) -> str | None:
        """The reason why requests cannot go over gRPC; None if they do, empty if not wanted."""
        port = self._address.grpc_port
        if port is None:
            return ""
        credentials = None
        if self._address.tls:
            credentials = grpc.ssl_channel_credentials(self._authority)
        return _grpc_failure(f"{self._address.host}:{port}", credentials)

    @property
    def note(self) -> str | None:
        """A sentence on the protocol, where gRPC was wanted and is not had."""
        if not self.grpc_failure:
            return None
        port = self._address.grpc_port
        return (
            f"{self.url} is used over REST, which is several times slower, as gRPC does not answer "
            f"at its port {port} ({self.grpc_failure}): open the port, or set grpc_port or "
            "grpc=false by --server."
        )

    @cached_property
    def _authority(self) -> bytes | None:
        """The certificates of the authority to trust; None for those that the system trusts."""
        return read_authority(self._options)

    @cached_property
    def patient(self) -> QdrantClient:
        """The client whose requests may take as long as the options say."""
        return self._client(self._options.timeout)

    @cached_property
    def quick(self) -> QdrantClient:
        """The client whose requests fail after `QUICK` seconds."""
        return self._client(min(QUICK, self._options.timeout))

    def client(self, *, quick: bool) -> QdrantClient:
        """Returns a client, which is made once."""
        with self._opening:
            return self.quick if quick else self.patient

    def _client(self, timeout: int) -> QdrantClient:
        with warnings.catch_warnings():  # about keys over http://, which is the user's choice
            warnings.simplefilter("ignore")
            options: dict[str, Any] = dict(_CHANNEL)
            verify: Any = True
            if self._address.tls and self._authority is not None:
                options["root_certificates"] = self._authority
                verify = ssl.create_default_context(cadata=self._authority.decode("ascii"))
            return QdrantClient(
                url=self.url,
                prefer_grpc=self.grpc_failure is None,
                grpc_port=self._address.grpc_port or 0,
                grpc_options=options,
                verify=verify,
                api_key=self._options.api_key,
                timeout=timeout,
                check_compatibility=False,  # it would print from another thread
            )

    def check(self, *, quick: bool) -> None:
        """Asks for the node's version.

        Raises:
            EngineError: it is too old; and any of `FAILURES`.
        """
        version = self.client(quick=quick).info().version
        self.version = tuple(int(part) for part in version.split(".")[:2])
        if self._checked:
            return
        if self.version < LEAST_VERSION:
            least = ".".join(map(str, LEAST_VERSION))
            raise EngineError(
                f"{self.url} runs Qdrant {version}, but lookalike needs {least} or newer; upgrade "
                "the server."
            )
        self._checked = True

    def close(self) -> None:
        """Closes the clients that were made."""
        for name in ("patient", "quick"):
            if client := self.__dict__.get(name):
                client.close()


class Nodes:
    """The nodes of one address. Thread-safe.

    Args:
        nodes: at least one.
        url: names the collection in errors.
        options: the timeout.
    """

    def __init__(self, nodes: Sequence[Node], url: str, options: ServerOptions) -> None:
        self.nodes = nodes
        self._url = url
        self._timeout = options.timeout
        self._turn = itertools.count()
        self._changed = threading.Condition()
        self._closed = False

    @classmethod
    def of(cls, client: QdrantClient, options: ServerOptions) -> Self:
        """Makes a single node that is always up, of a client that exists."""
        node = Node(NodeAddress("the server", "", None), options)
        node.patient = node.quick = client
        return cls([node], "the server", options)

    @classmethod
    def connect(cls, url: str, options: ServerOptions) -> tuple[Self, str, str]:
        """Connects to a server.

        Returns:
            The nodes, the collection's name, and the complete address without credentials.

        Raises:
            EngineError: the address is not valid, no node answers there, or one is too old.
        """
        address = parse_address(url, options)
        read_authority(options)
        nodes = [Node(one, options) for one in address.nodes]
        made = cls(nodes, address.shown, options)
        try:
            made._open()
        except EngineError:
            made.close()
            raise
        return made, address.collection, address.shown

    @property
    def version(self) -> tuple[int, ...] | None:
        """The oldest version among the nodes; None while none is known."""
        return min((node.version for node in self.nodes if node.version), default=None)

    def _open(self) -> None:
        with ThreadPoolExecutor(len(self.nodes)) as pool:
            found = list(pool.map(self._first_failure, self.nodes))
        if None not in found:
            raise next(error for error in found if error is not None)
        for node, error in zip(self.nodes, found, strict=True):
            if error is not None:
                self.lost(node, error)

    def _first_failure(self, node: Node) -> EngineError | None:
        """Asks a node for its version; returns the error of one that cannot be reached."""
        # A single node may take its time; of several, others answer.
        quick = len(self.nodes) > 1
        try:
            node.check(quick=quick)
        except FAILURES as error:
            failure = failure_of(error, self._url, QUICK if quick else self._timeout)
            if len(self.nodes) > 1 and failure.away:
                return failure.error
            raise failure.error from error
        return None

    def pick(self, deadline: float, among: Sequence[Node], *, hurried: bool) -> Node:
        """Returns the next node that is up; waits for one until the deadline.

        Args:
            deadline: a time of `time.monotonic`.
            among: the nodes to choose from.
            hurried: whether to fail at once if all of them are known to be away.

        Raises:
            EngineError: none of them is up.
        """
        with self._changed:
            while True:
                up = [node for node in among if node.up]
                if up:
                    return up[next(self._turn) % len(up)]
                left = deadline - time.monotonic()
                known = all(node.known_away for node in among)
                ended = self._closed or left <= 0 or patience.is_over()
                if ended or (hurried and known):
                    raise among[0].error
                self._changed.wait(min(left, patience.LOOK))

    def lost(self, node: Node, error: EngineError) -> None:
        """Passes a node over until it answers again."""
        with self._changed:
            node.error = error
            if not node.up or self._closed:
                return
            node.up = False
        threading.Thread(target=self._watch, args=(node,), daemon=True).start()

    def doubt(self, error: EngineError) -> None:
        """Passes every node over until it answers again."""
        for node in self.nodes:
            self.lost(node, error)

    def _watch(self, node: Node) -> None:
        """Asks a node until it answers."""
        while not self._closed:
            answers = _attempt(lambda: node.check(quick=True), self._url)
            with self._changed:
                node.up, node.known_away = answers, not answers
                self._changed.notify_all()
            if answers:
                return
            time.sleep(_PAUSE)

    def close(self) -> None:
        """Closes the connections. Idempotent."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for node in self.nodes:
            node.close()


def _attempt(ask: Callable[[], None], url: str) -> bool:
    """Tells if a node answers, with an error or not."""
    try:
        ask()
    except FAILURES as error:
        return not failure_of(error, url, QUICK).away
    except EngineError:  # too old
        return False
    return True


def read_authority(options: ServerOptions) -> bytes | None:
    """Reads the certificates of `ca_cert`; None without one.

    Raises:
        InputError: the file cannot be read, or has no certificate.
    """
    if options.ca_cert is None:
        return None
    try:
        certificates = Path(options.ca_cert).expanduser().read_bytes()
        ssl.create_default_context(cadata=certificates.decode("ascii"))
    except OSError as error:
        problem = error.strerror or str(error)
        if not isinstance(error, ssl.SSLError):
            raise InputError(
                f"The certificates {options.ca_cert} cannot be read ({problem}): name another file "
                "by --server ca_cert."
            ) from None
    except ValueError:
        pass
    else:
        return certificates
    raise InputError(
        f"{options.ca_cert} has no certificate in it: name a PEM file by --server ca_cert."
    )


def _grpc_failure(target: str, credentials: Any) -> str | None:
    """The reason why a target does not speak gRPC; None if it does."""
    if credentials is not None:
        channel = grpc.secure_channel(target, credentials)
    else:
        channel = grpc.insecure_channel(target)
    try:
        stub = protocol.QdrantStub(channel)  # type: ignore[no-untyped-call]
        stub.HealthCheck(protocol.HealthCheckRequest(), timeout=_GRPC_PROBE)
    except grpc.RpcError as error:
        refused = (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
        if error.code() in refused:  # it speaks gRPC and requires a key
            return None
        return first_line(error.details() or error.code().name)
    finally:
        channel.close()
    return None
