"""Our own share of a blended search on a server: CPU time of this process, requests, bytes.

A process of its own speaks Qdrant's gRPC API and answers from an index in a folder, as far as
searches by id need it. So the CPU time of this process is ours: planning, the messages both ways,
the ranking, the connection. Beside it stands one bare request of qdrant-client for one aspect.

    python -m benchmarks.server_overhead [FOLDER] [--profile]

FOLDER keeps the index for the next run.
"""

from __future__ import annotations

import cProfile
import multiprocessing
import pstats
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from uuid import UUID

import grpc  # type: ignore[import-untyped]
import numpy as np
import qdrant_edge as qe
from qdrant_client import QdrantClient
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import RestToGrpc, payload_to_grpc

from benchmarks._figures import bound, finish
from benchmarks._synthetic import SPECS, Points, draw, index_of, open_index
from lookalike.engines.edge.engine import EdgeEngine
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.connection import Nodes
from lookalike.engines.server.engine import ServerEngine
from lookalike.engines.server.layout import vector_params
from lookalike.index import Index

POINTS = 20_000
SEARCHES = 120
WEIGHTS = {"semantic": 0.5, "color": 0.5}
LIMIT = 24
PROFILE = "--profile"
PAYLOAD = {
    "title": "A wide scarf of wool with fringes",
    "category": "scarf",
    "tags": ["winter", "wool", "gift"],
    "price": 39.9,
    "in_stock": True,
    "stock": 12,
    "brand": "made",
    "added": "2026-01-02T03:04:05Z",
}
"""Fields of an image as shops have them, beside the few of the drawn points."""


def main() -> None:
    points = draw(POINTS)
    with tempfile.TemporaryDirectory() as folder:
        kept = [one for one in sys.argv[1:] if one != PROFILE]
        place = Path(kept[0] if kept else folder) / "overhead"
        with open_index(EdgeEngine(place), points) as index:
            manifest = index._engine.read_manifest()
            expected = [ids(index, i) for i in range(SEARCHES)]
        pipe, other = multiprocessing.Pipe()
        spawn = multiprocessing.get_context("spawn")
        process = spawn.Process(target=serve, args=(place, manifest, other), daemon=True)
        process.start()
        client = QdrantClient(
            host="127.0.0.1",
            grpc_port=pipe.recv(),
            prefer_grpc=True,
            check_compatibility=False,
            timeout=30,
        )
        with closing(client):
            options = ServerOptions()
            engine = ServerEngine(Nodes.of(client, options), "made", options)
            with index_of(engine, Path(folder)) as index:
                measure(index, pipe, expected)
                bare(client, points)
        process.terminate()
    finish()


def measure(index: Index, pipe: Connection, expected: list[list[str]]) -> None:
    for i in range(10):  # warms up
        ids(index, i)
    if PROFILE in sys.argv:
        profile(index)
    asked(pipe)
    cpu, wall, alike = list[float](), list[float](), list[float]()
    traffic = list[tuple[int, int, int]]()
    for i in range(SEARCHES):
        started, busy = time.perf_counter(), time.process_time()
        found = ids(index, i)
        cpu.append((time.process_time() - busy) * 1e3)
        wall.append((time.perf_counter() - started) * 1e3)
        alike.append(len(set(found) & set(expected[i])) / LIMIT)
        traffic.append(asked(pipe))
    requests, sent, received = np.array(traffic).T
    print(f"a blend of two aspects by id, best {LIMIT} of {POINTS:,}, over gRPC:")
    print(f"  requests: mean {requests.mean():.2f}, most {requests.max()}")
    print(f"  bytes: sent {np.median(sent):,.0f}, received {np.median(received):,.0f}")
    middle, worst = np.percentile(wall, [50, 99])
    print(
        f"  milliseconds in all: median {middle:.1f}, 99th percentile {worst / middle:.1f} medians "
        "(mostly the double's own conversion of rows, which says little of a server)"
    )
    bound("our own CPU time, median ms", statistics.median(cpu), most=5)
    bound("requests, median", float(np.median(requests)), most=3)
    bound("share of hits as in the folder", float(np.mean(alike)), least=0.99)


def bare(client: QdrantClient, points: Points) -> None:
    """Prints what a bare request for one aspect takes."""
    cpu, wall = list[float](), list[float]()
    for i in range(SEARCHES):
        vector = points.vectors["semantic"][i].tolist()
        started, busy = time.perf_counter(), time.process_time()
        client.query_points("made", vector, using="semantic-made", limit=LIMIT)
        cpu.append((time.process_time() - busy) * 1e3)
        wall.append((time.perf_counter() - started) * 1e3)
    print(
        f"a bare request of qdrant-client: {statistics.median(cpu):.1f} ms of CPU time, "
        f"{statistics.median(wall):.1f} in all"
    )


def ids(index: Index, i: int) -> list[str]:
    return [hit.id for hit in index.search(id=str(i), weights=WEIGHTS, limit=LIMIT)]


def profile(index: Index) -> None:
    profiler = cProfile.Profile()
    profiler.enable()
    for i in range(SEARCHES):
        ids(index, i)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(40)


def asked(pipe: Connection) -> tuple[int, int, int]:
    """The requests since the last call, and the bytes of them and of their answers."""
    pipe.send(None)
    counts: tuple[int, int, int] = pipe.recv()
    return counts


# --- the double -----------------------------------------------------------------------------


def serve(place: Path, manifest: Any, pipe: Connection) -> None:
    """Serves an index over gRPC until it is terminated; says what was asked to who asks."""
    shard = EdgeEngine(place).shard
    counts = [0, 0, 0]
    answers: dict[str, Callable[[bytes], Any]] = {
        "/qdrant.Collections/CollectionExists": lambda _: wire.CollectionExistsResponse(
            result=wire.CollectionExists(exists=True)
        ),
        "/qdrant.Collections/Get": lambda _: info(manifest),
        "/qdrant.Points/Get": lambda body: get(shard, wire.GetPoints.FromString(body)),
        "/qdrant.Points/Count": lambda body: count(shard),
        "/qdrant.Points/QueryBatch": lambda body: batch(
            shard, wire.QueryBatchPoints.FromString(body)
        ),
        "/qdrant.Points/Query": lambda body: wire.QueryResponse(
            result=rows(shard, wire.QueryPoints.FromString(body))
        ),
    }

    class Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: Any) -> Any:
            def answer(body: bytes, _: Any) -> bytes:
                reply: bytes = answers[call.method](body).SerializeToString()
                counts[:] = [counts[0] + 1, counts[1] + len(body), counts[2] + len(reply)]
                return reply

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Handler(),))
    pipe.send(server.add_insecure_port("127.0.0.1:0"))
    server.start()
    while True:
        pipe.recv()
        pipe.send(tuple(counts))
        counts[:] = [0, 0, 0]


def info(manifest: Any) -> Any:
    """The collection as the server engine would have made it."""
    layout = {spec.name: vector_params(spec, ServerOptions()) for spec in SPECS}
    found = QdrantClient(":memory:")
    found.create_collection("made", layout, metadata={"lookalike": manifest})
    return wire.GetCollectionInfoResponse(
        result=RestToGrpc.convert_collection_info(found.get_collection("made"))
    )


def count(shard: qe.EdgeShard) -> Any:
    return wire.CountResponse(result=wire.CountResult(count=shard.count(qe.CountRequest())))


def get(shard: qe.EdgeShard, request: Any) -> Any:
    names = list(request.with_vectors.include.names) or False
    records = shard.retrieve([UUID(id.uuid) for id in request.ids], True, names)
    return wire.GetResponse(
        result=[
            wire.RetrievedPoint(
                id=wire.PointId(uuid=str(record.id)),
                payload=payload_to_grpc(record.payload or {}),
                vectors=vectors(record.vector),
            )
            for record in records
        ]
    )


def batch(shard: qe.EdgeShard, request: Any) -> Any:
    return wire.QueryBatchResponse(
        result=[wire.BatchResult(result=rows(shard, one)) for one in request.query_points]
    )


def rows(shard: qe.EdgeShard, request: Any) -> list[Any]:
    payload = request.with_payload.enable
    names = list(request.with_vectors.include.names) or False
    if not request.HasField("query"):
        ((one,), *_) = [one.has_id.has_id for one in request.filter.must]
        records = shard.retrieve([UUID(one.uuid)], payload, names)
        return [wire.ScoredPoint(id=one, vectors=vectors(record.vector)) for record in records]
    found = shard.query(
        qe.QueryRequest(
            prefetches=[
                qe.Prefetch(
                    query=nearest(stage, shard),
                    limit=stage.limit,
                    filter=condition(request.filter),
                    params=params(stage.params),
                )
                for stage in request.prefetch
            ],
            query=formula(request) if request.prefetch else nearest(request, shard),
            filter=None if request.prefetch else condition(request.filter),
            limit=request.limit,
            with_payload=payload,
            with_vector=names,
            params=params(request.params),
        )
    )
    return [
        wire.ScoredPoint(
            id=wire.PointId(uuid=str(row.id)),
            score=row.score,
            payload=payload_to_grpc(PAYLOAD | (row.payload or {})) if payload else None,
            vectors=vectors(row.vector),
        )
        for row in found
    ]


def nearest(request: Any, shard: qe.EdgeShard) -> qe.Query:
    given = request.query.nearest
    if given.HasField("dense"):
        return qe.Query.Nearest(list(given.dense.data), using=request.using)
    (record,) = shard.retrieve([UUID(given.id.uuid)], False, [request.using])
    assert isinstance(record.vector, dict)
    vector: Any = record.vector[request.using]
    return qe.Query.Nearest(vector, using=request.using)


def formula(request: Any) -> qe.Formula:
    terms = [
        qe.Expression.Mult(
            [
                qe.Expression.Constant(term.mult.mult[0].constant),
                qe.Expression.Variable(term.mult.mult[1].variable),
            ]
        )
        for term in request.query.formula.expression.sum.sum
    ]
    return qe.Formula(qe.Expression.Sum(terms), {})


def condition(filter: Any) -> qe.Filter | None:
    """A filter by ids, the only ones that these searches have."""
    parts = {
        clause: [qe.HasIdCondition({UUID(id.uuid) for id in one.has_id.has_id}) for one in given]
        for clause in ("must", "must_not")
        if (given := getattr(filter, clause))
    }
    return qe.Filter(**parts) if parts else None  # type: ignore[arg-type]


def params(given: Any) -> qe.SearchParams:
    quantization = given.quantization
    return qe.SearchParams(
        hnsw_ef=given.hnsw_ef or None,
        exact=given.exact,
        quantization=qe.QuantizationSearchParams(
            ignore=quantization.ignore,
            rescore=quantization.rescore,
            oversampling=quantization.oversampling or None,
        ),
    )


def vectors(held: Any) -> Any:
    if not held:
        return None
    return wire.VectorsOutput(
        vectors=wire.NamedVectorsOutput(
            vectors={
                name: wire.VectorOutput(dense=wire.DenseVector(data=values))
                for name, values in held.items()
            }
        )
    )


if __name__ == "__main__":
    main()
