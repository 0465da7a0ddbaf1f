"""Qdrant's REST and gRPC APIs in front of qdrant-client's in-memory mode.

The in-memory mode decides what a request does, and it is as much like Qdrant as it is. The
transport is real: JSON and protobuf, status codes, sockets, threads. Tests inject faults to see how
a client copes with a server that is busy, silent or gone.
"""

from tests.support.qdrant_wire.grpc_api import GrpcServer
from tests.support.qdrant_wire.nodes import Cluster
from tests.support.qdrant_wire.rest_api import RestServer
from tests.support.qdrant_wire.store import Fault, Store

__all__ = ["Cluster", "Fault", "GrpcServer", "RestServer", "Store"]
