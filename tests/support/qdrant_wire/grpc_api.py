"""The gRPC API."""

# ruff: noqa: N802 -- the names are gRPC's
from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc  # type: ignore[import-untyped]
from qdrant_client import grpc as wire
from qdrant_client import models
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import (
    collections_service_pb2_grpc,
    points_service_pb2_grpc,
    qdrant_pb2_grpc,
)

from tests.support.qdrant_wire.refusals import Rejected
from tests.support.qdrant_wire.store import Store, request_name

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


_ALL = wire.ReadConsistency(type=wire.ReadConsistencyType.All)


class _Rpc:
    """Base of the services: carries out queries, and turns errors into gRPC's."""

    def __init__(self, store: Store, node: int = 0) -> None:
        self.store, self.local, self.node = store, store.local, node

    def do(self, name: str, context: Any, work: Callable[[], Any], request: Any) -> Any:
        key = dict(context.invocation_metadata()).get("api-key")
        name = request_name(name, getattr(request, "collection_name", ""))
        try:
            everywhere = getattr(request, "read_consistency", None) == _ALL
            return self.store.do(name, key, work, everywhere=everywhere, node=self.node)
        except Rejected as rejected:
            context.set_trailing_metadata(
                [(header.lower(), value) for header, value in rejected.headers.items()]
            )
            context.abort(_CODES[rejected.status], rejected.error)
        except ConnectionAbortedError:
            context.abort(grpc.StatusCode.UNAVAILABLE, "Socket closed")


def _filter(request: Any, name: str = "filter") -> models.Filter | None:
    return GrpcToRest.convert_filter(getattr(request, name)) if request.HasField(name) else None


def _done(_: Any = None) -> Any:
    result = models.UpdateResult(operation_id=0, status=models.UpdateStatus.COMPLETED)
    return wire.PointsOperationResponse(result=RestToGrpc.convert_update_result(result))


class _Qdrant(_Rpc, qdrant_pb2_grpc.QdrantServicer):
    def HealthCheck(self, request: Any, context: Any) -> Any:
        version = self.do("root", context, lambda: self.store.version, request)
        return wire.HealthCheckReply(title="qdrant", version=version)


class _Collections(_Rpc, collections_service_pb2_grpc.CollectionsServicer):
    def CollectionExists(self, request: Any, context: Any) -> Any:
        name = request.collection_name
        exists = self.do("exists", context, lambda: self.local.collection_exists(name), request)
        return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=exists))

    def Get(self, request: Any, context: Any) -> Any:
        info = self.do("info", context, lambda: self.store.info(request.collection_name), request)
        return wire.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    def Create(self, request: Any, context: Any) -> Any:
        body = models.CreateCollection(
            vectors=GrpcToRest.convert_vectors_config(request.vectors_config),
            shard_number=request.shard_number,
            replication_factor=request.replication_factor,
            write_consistency_factor=request.write_consistency_factor,
            optimizers_config=GrpcToRest.convert_optimizers_config_diff(request.optimizers_config),
            metadata=GrpcToRest.convert_payload(request.metadata),
        )
        create = self.store.create
        done = self.do("create", context, lambda: create(request.collection_name, body), request)
        return wire.CollectionOperationResponse(result=done)

    def Update(self, request: Any, context: Any) -> Any:
        body = models.UpdateCollection(
            optimizers_config=GrpcToRest.convert_optimizers_config_diff(request.optimizers_config)
            if request.HasField("optimizers_config")
            else None,
            metadata=GrpcToRest.convert_payload(request.metadata) or None,
            params=GrpcToRest.convert_collection_params_diff(request.params)
            if request.HasField("params")
            else None,
        )
        update = self.store.update
        done = self.do("update", context, lambda: update(request.collection_name, body), request)
        return wire.CollectionOperationResponse(result=done)


class _Points(_Rpc, points_service_pb2_grpc.PointsServicer):
    def Upsert(self, request: Any, context: Any) -> Any:
        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        mode, name = None, request.collection_name
        if request.HasField("update_mode"):
            mode = GrpcToRest.convert_update_mode(request.update_mode)
        return _done(
            self.do("upsert", context, lambda: self.store.upsert(name, points, mode), request)
        )

    def Delete(self, request: Any, context: Any) -> Any:
        selector = GrpcToRest.convert_points_selector(request.points)
        delete = self.local.delete
        return _done(
            self.do("delete", context, lambda: delete(request.collection_name, selector), request)
        )

    def UpdateBatch(self, request: Any, context: Any) -> Any:
        operations = [GrpcToRest.convert_points_update_operation(one) for one in request.operations]
        change = self.store.change
        self.do("batch", context, lambda: change(request.collection_name, operations), request)
        return wire.UpdateBatchResponse(result=[_done().result for _ in operations])

    def CreateVectorName(self, request: Any, context: Any) -> Any:
        dense = request.dense_config
        config = models.DenseVectorNameConfig(
            dense=models.DenseVectorConfig(
                size=dense.size, distance=GrpcToRest.convert_distance(dense.distance)
            )
        )
        create = self.local.create_vector_name
        name, vector = request.collection_name, request.vector_name
        return _done(self.do("vectors", context, lambda: create(name, vector, config), request))

    def DeleteVectorName(self, request: Any, context: Any) -> Any:
        delete = self.local.delete_vector_name
        name, vector = request.collection_name, request.vector_name
        return _done(self.do("vectors", context, lambda: delete(name, vector), request))

    def CreateFieldIndex(self, request: Any, context: Any) -> Any:
        return _done(self.do("index", context, lambda: None, request))

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
            request,
        )
        return wire.GetResponse(result=[RestToGrpc.convert_record(record) for record in records])

    def QueryBatch(self, request: Any, context: Any) -> Any:
        queries = [GrpcToRest.convert_query_points(one) for one in request.query_points]
        query = self.store.query
        answers = self.do(
            "query", context, lambda: query(request.collection_name, queries), request
        )
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
            lambda: self.store.scroll(
                request.collection_name,
                _filter(request),
                request.limit,
                GrpcToRest.convert_order_by(request.order_by) if ordered else None,
                GrpcToRest.convert_point_id(request.offset) if offset else None,
                GrpcToRest.convert_with_payload_selector(request.with_payload),
                GrpcToRest.convert_with_vectors_selector(request.with_vectors),
            ),
            request,
        )
        return wire.ScrollResponse(
            result=[RestToGrpc.convert_record(record) for record in records],
            next_page_offset=None
            if following is None
            else RestToGrpc.convert_extended_point_id(following),
        )

    def Count(self, request: Any, context: Any) -> Any:
        count, name = self.store.count, request.collection_name
        exact = request.exact
        found = self.do("count", context, lambda: count(name, _filter(request), exact), request)
        return wire.CountResponse(result=wire.CountResult(count=found.count))

    def Facet(self, request: Any, context: Any) -> Any:
        facet = self.store.facet
        name, key, limit = request.collection_name, request.key, request.limit
        found = self.do(
            "facet",
            context,
            lambda: facet(name, key, _filter(request), limit, request.exact),
            request,
        )
        return wire.FacetResponse(
            hits=[RestToGrpc.convert_facet_value_hit(hit) for hit in found.hits]
        )


class GrpcServer:
    """A gRPC server on a port of its own."""

    def __init__(self, store: Store, node: int = 0, tls: tuple[bytes, bytes] | None = None) -> None:
        self.server = grpc.server(ThreadPoolExecutor(8))
        points_service_pb2_grpc.add_PointsServicer_to_server(  # type: ignore[no-untyped-call]
            _Points(store, node), self.server
        )
        collections_service_pb2_grpc.add_CollectionsServicer_to_server(  # type: ignore[no-untyped-call]
            _Collections(store, node), self.server
        )
        qdrant_pb2_grpc.add_QdrantServicer_to_server(  # type: ignore[no-untyped-call]
            _Qdrant(store, node), self.server
        )
        if tls is None:
            self.port: int = self.server.add_insecure_port("127.0.0.1:0")
        else:  # key and certificate
            credentials = grpc.ssl_server_credentials([tls])
            self.port = self.server.add_secure_port("127.0.0.1:0", credentials)
        self.server.start()

    def close(self) -> None:
        self.server.stop(0).wait()
