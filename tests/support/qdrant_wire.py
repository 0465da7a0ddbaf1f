"""Qdrant's REST and gRPC interfaces over qdrant-client's in-memory re-implementation.

What a request does is that library's work and no more like Qdrant than it is; that it travels is
real: JSON and protobuf, status codes, sockets, threads. Troubles can be ordered, to see what
becomes of a client when a server is busy, silent or gone.
"""

# ruff: noqa: N802, N815 -- the names are gRPC's and http.server's
from __future__ import annotations

import threading
import time
import urllib.parse
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc  # type: ignore[import-untyped]
import pydantic_core
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import (
    collections_service_pb2_grpc,
    points_service_pb2_grpc,
    qdrant_pb2_grpc,
)


@dataclass(frozen=True)
class Trouble:
    """What happens to a request instead of an answer.

    Attributes:
        status: HTTP status; 0 drops the connection, after the request was carried out.
        error: text of the answer.
        headers: of the answer.
        seconds: before anything happens; without a status the request is then answered.
        on: requests whose name this is a part of; others pass.
    """

    status: int | None = None
    error: str = "trouble"
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    on: str = ""


class Refused(Exception):
    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.headers = status, error, headers or {}


@dataclass
class Store:
    """What both interfaces share: the points, and what is to go wrong."""

    local: QdrantClient = field(default_factory=lambda: QdrantClient(":memory:"))
    lock: threading.RLock = field(default_factory=threading.RLock)
    troubles: deque[Trouble] = field(default_factory=deque)
    asked: list[str] = field(default_factory=list)
    thresholds: dict[str, int] = field(default_factory=dict)
    created: dict[str, models.CreateCollection] = field(default_factory=dict)
    version: str = "1.20.0"
    api_key: str | None = None
    status: list[str] = field(default_factory=list)
    queries: list[list[models.QueryRequest]] = field(default_factory=list)

    def do(self, name: str, key: str | None, work: Callable[[], Any]) -> Any:
        """Carries out a request, or what was ordered instead."""
        with self.lock:
            self.asked.append(name)
            trouble = None
            if self.troubles and self.troubles[0].on in name:
                trouble = self.troubles.popleft()
        if self.api_key is not None and key != self.api_key and name != "root":
            raise Refused(401, "Must provide an API key or an Authorization bearer token")
        if trouble is not None:
            time.sleep(trouble.seconds)
            if trouble.status:
                raise Refused(trouble.status, trouble.error, trouble.headers)
        with self.lock:
            try:
                answer = work()
            except ValueError as error:
                raise _refusal(str(error)) from error
            except KeyError as error:
                raise Refused(404, f"Not found: No point with id {error} found") from error
        if trouble is not None and trouble.status == 0:
            raise ConnectionAbortedError
        return answer

    def create(self, name: str, body: models.CreateCollection) -> bool:
        done = self.local.create_collection(
            name,
            vectors_config=body.vectors,
            shard_number=body.shard_number,
            metadata=body.metadata,
        )
        self.created[name] = body
        self._set(name, body.optimizers_config)
        return done

    def update(self, name: str, body: models.UpdateCollection) -> bool:
        self.local.update_collection(name, metadata=body.metadata)
        self._set(name, body.optimizers_config)
        return True

    def _set(self, name: str, optimizers: models.OptimizersConfigDiff | None) -> None:
        if optimizers is not None and optimizers.indexing_threshold is not None:
            self.thresholds[name] = optimizers.indexing_threshold

    def info(self, name: str) -> models.CollectionInfo:
        info = self.local.get_collection(name)
        threshold = self.thresholds.get(name, 10_000)
        info.config.optimizer_config.indexing_threshold = threshold
        if threshold and self.status:
            info.status = models.CollectionStatus(self.status.pop(0))
        return info

    def query(self, name: str, requests: list[models.QueryRequest]) -> list[models.QueryResponse]:
        self.queries.append(requests)
        return self.local.query_batch_points(name, requests)


def _refusal(error: str) -> Refused:
    """The status and words of the real server for an error of the in-memory one's."""
    if error.startswith("Collection") and error.endswith("not found"):
        return Refused(404, f"Not found: Collection `{error.split()[1]}` doesn't exist!")
    if "already exists" in error:
        return Refused(409, f"Wrong input: {error}!")
    return Refused(400, error)


# --- REST -----------------------------------------------------------------------------------


def _rest(store: Store, method: str, path: list[str], body: bytes) -> tuple[str, Callable[[], Any]]:
    """The name of a request, and what it asks for."""
    local = store.local
    read: Callable[[Any], Any] = lambda kind: kind.model_validate_json(body)  # noqa: E731
    name = path[1] if len(path) > 1 else ""
    match method, path[2:] if path[:1] == ["collections"] else path:
        case "GET", [""]:
            info = {"title": "qdrant", "version": store.version, "commit": None}
            return "root", lambda: info
        case "GET", ["exists"]:
            return "exists", lambda: {"exists": local.collection_exists(name)}
        case "GET", []:
            return "info", lambda: store.info(name)
        case "PUT", []:
            return "create", lambda: store.create(name, read(models.CreateCollection))
        case "PATCH", []:
            return "update", lambda: store.update(name, read(models.UpdateCollection))
        case "DELETE", []:
            return "drop", lambda: local.delete_collection(name)
        case "GET", ["memory"]:
            bytes_ = 1000 * local.count(name).count
            return "memory", lambda: {"total": {"disk_bytes": bytes_}}
        case "PUT", ["index"]:
            asked = read(models.CreateFieldIndex)
            return "index", lambda: local.create_payload_index(
                name, asked.field_name, asked.field_schema
            )
        case "PUT", ["points"]:
            return "upsert", lambda: local.upsert(name, read(models.PointsList).points)
        case "POST", ["points"]:
            asked = read(models.PointRequest)
            return "retrieve", lambda: local.retrieve(
                name, asked.ids, with_payload=asked.with_payload, with_vectors=asked.with_vector
            )
        case "POST", ["points", "delete"]:
            return "delete", lambda: local.delete(name, read(models.PointIdsList))
        case "POST", ["points", "batch"]:
            operations = read(models.UpdateOperations).operations
            return "batch", lambda: local.batch_update_points(name, operations)
        case "POST", ["points", "query", "batch"]:
            searches = read(models.QueryRequestBatch).searches
            return "query", lambda: store.query(name, searches)
        case "POST", ["points", "count"]:
            return "count", lambda: local.count(name, read(models.CountRequest).filter)
        case "POST", ["points", "scroll"]:
            asked = read(models.ScrollRequest)
            return "scroll", lambda: dict(
                zip(
                    ("points", "next_page_offset"),
                    local.scroll(
                        name,
                        asked.filter,
                        asked.limit,
                        asked.order_by,
                        asked.offset,
                        asked.with_payload,
                        asked.with_vector,
                    ),
                    strict=True,
                )
            )
        case "POST", ["facet"]:
            asked = read(models.FacetRequest)
            return "facet", lambda: local.facet(name, asked.key, asked.filter, asked.limit)
    raise Refused(404, "no such path")


class RestServer:
    """A port that speaks REST; `url` names a collection there."""

    def __init__(self, store: Store, port: int = 0, prefix: str = "") -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                key = self.headers.get("api-key")
                status, headers, result = 200, dict[str, str](), None
                try:
                    steps = path.removeprefix(prefix).strip("/").split("/")
                    name, work = _rest(store, self.command, steps, body)
                    result = store.do(name, key, work)
                    reply = result if name == "root" else {"result": result, "status": "ok"}
                except Refused as refused:
                    status, headers = refused.status, dict(refused.headers)
                    reply = {"status": {"error": refused.error}, "time": 0.0}
                except ConnectionAbortedError:
                    self.close_connection = True
                    return
                content = pydantic_core.to_json(reply)
                self.send_response(status)
                for header, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(header, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, *_: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.port: int = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/catalog"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()


# --- gRPC -----------------------------------------------------------------------------------

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    500: grpc.StatusCode.INTERNAL,
    503: grpc.StatusCode.UNAVAILABLE,
    507: grpc.StatusCode.RESOURCE_EXHAUSTED,
}


class _Rpc:
    """What every service needs: to carry out work for a request, and to refuse."""

    def __init__(self, store: Store) -> None:
        self.store, self.local = store, store.local

    def do(self, name: str, context: Any, work: Callable[[], Any]) -> Any:
        key = dict(context.invocation_metadata()).get("api-key")
        try:
            return self.store.do(name, key, work)
        except Refused as refused:
            context.set_trailing_metadata(
                [(header.lower(), value) for header, value in refused.headers.items()]
            )
            context.abort(_CODES[refused.status], refused.error)
        except ConnectionAbortedError:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


def _filter(request: Any, name: str = "filter") -> models.Filter | None:
    return GrpcToRest.convert_filter(getattr(request, name)) if request.HasField(name) else None


def _done(_: Any = None) -> Any:
    result = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
    return wire.PointsOperationResponse(result=RestToGrpc.convert_update_result(result))


class _Qdrant(_Rpc, qdrant_pb2_grpc.QdrantServicer):
    def HealthCheck(self, request: Any, context: Any) -> Any:
        version = self.do("root", context, lambda: self.store.version)
        return wire.HealthCheckReply(title="qdrant", version=version)


class _Collections(_Rpc, collections_service_pb2_grpc.CollectionsServicer):
    def CollectionExists(self, request: Any, context: Any) -> Any:
        name = request.collection_name
        exists = self.do("exists", context, lambda: self.local.collection_exists(name))
        return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=exists))

    def Get(self, request: Any, context: Any) -> Any:
        info = self.do("info", context, lambda: self.store.info(request.collection_name))
        return wire.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    def Create(self, request: Any, context: Any) -> Any:
        body = models.CreateCollection(
            vectors=GrpcToRest.convert_vectors_config(request.vectors_config),
            shard_number=request.shard_number,
            optimizers_config=GrpcToRest.convert_optimizers_config_diff(request.optimizers_config),
            metadata=GrpcToRest.convert_payload(request.metadata),
        )
        create = self.store.create
        done = self.do("create", context, lambda: create(request.collection_name, body))
        return wire.CollectionOperationResponse(result=done)

    def Update(self, request: Any, context: Any) -> Any:
        body = models.UpdateCollection(
            optimizers_config=GrpcToRest.convert_optimizers_config_diff(request.optimizers_config)
            if request.HasField("optimizers_config")
            else None,
            metadata=GrpcToRest.convert_payload(request.metadata) or None,
        )
        update = self.store.update
        done = self.do("update", context, lambda: update(request.collection_name, body))
        return wire.CollectionOperationResponse(result=done)


class _Points(_Rpc, points_service_pb2_grpc.PointsServicer):
    def Upsert(self, request: Any, context: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        upsert = self.local.upsert
        return _done(self.do("upsert", context, lambda: upsert(request.collection_name, points)))

    def Delete(self, request: Any, context: Any) -> Any:
        which = GrpcToRest.convert_points_selector(request.points)
        delete = self.local.delete
        return _done(self.do("delete", context, lambda: delete(request.collection_name, which)))

    def UpdateBatch(self, request: Any, context: Any) -> Any:
        operations = [GrpcToRest.convert_points_update_operation(one) for one in request.operations]
        update = self.local.batch_update_points
        self.do("batch", context, lambda: update(request.collection_name, operations))
        return wire.UpdateBatchResponse(result=[_done().result for _ in operations])

    def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        return _done(self.do("index", context, lambda: None))

    def Get(self, request: Any, context: Any) -> Any:
        ids = [GrpcToRest.convert_point_id(id) for id in request.ids]
        records = self.do(
            "retrieve",
            context,
            lambda: self.local.retrieve(
                request.collection_name,
                ids,
                GrpcToRest.convert_with_payload_selector(request.with_payload),
                GrpcToRest.convert_with_vectors_selector(request.with_vectors),
            ),
        )
        return wire.GetResponse(result=[RestToGrpc.convert_record(record) for record in records])

    def QueryBatch(self, request: Any, context: Any) -> Any:
        asked = [GrpcToRest.convert_query_points(one) for one in request.query_points]
        query = self.store.query
        answers = self.do("query", context, lambda: query(request.collection_name, asked))
        return wire.QueryBatchResponse(
            result=[
                wire.BatchResult(
                    result=[RestToGrpc.convert_scored_point(point) for point in answer.points]
                )
                for answer in answers
            ]
        )

    def Scroll(self, request: Any, context: Any) -> Any:
        ordered, offset = request.HasField("order_by"), request.HasField("offset")
        records, following = self.do(
            "scroll",
            context,
            lambda: self.local.scroll(
                request.collection_name,
                _filter(request),
                request.limit,
                GrpcToRest.convert_order_by(request.order_by) if ordered else None,
                GrpcToRest.convert_point_id(request.offset) if offset else None,
                GrpcToRest.convert_with_payload_selector(request.with_payload),
                GrpcToRest.convert_with_vectors_selector(request.with_vectors),
            ),
        )
        return wire.ScrollResponse(
            result=[RestToGrpc.convert_record(record) for record in records],
            next_page_offset=None
            if following is None
            else RestToGrpc.convert_extended_point_id(following),
        )

    def Count(self, request: Any, context: Any) -> Any:
        count = self.local.count
        found = self.do("count", context, lambda: count(request.collection_name, _filter(request)))
        return wire.CountResponse(result=wire.CountResult(count=found.count))

    def Facet(self, request: Any, context: Any) -> Any:
        facet = self.local.facet
        name, key, limit = request.collection_name, request.key, request.limit
        found = self.do("facet", context, lambda: facet(name, key, _filter(request), limit))
        return wire.FacetResponse(
            hits=[RestToGrpc.convert_facet_value_hit(hit) for hit in found.hits]
        )


class GrpcServer:
    """A port that speaks gRPC."""

    def __init__(self, store: Store) -> None:
        self.server = grpc.server(ThreadPoolExecutor(8))
        points_service_pb2_grpc.add_PointsServicer_to_server(  # type: ignore[no-untyped-call]
            _Points(store), self.server
        )
        collections_service_pb2_grpc.add_CollectionsServicer_to_server(  # type: ignore[no-untyped-call]
            _Collections(store), self.server
        )
        qdrant_pb2_grpc.add_QdrantServicer_to_server(  # type: ignore[no-untyped-call]
            _Qdrant(store), self.server
        )
        self.port: int = self.server.add_insecure_port("127.0.0.1:0")
        self.server.start()

    def close(self) -> None:
        self.server.stop(0).wait()
