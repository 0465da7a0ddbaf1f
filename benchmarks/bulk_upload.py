"""Upload speed of the server engine in points per second, compared with `qdrant-client` alone.

The server is a sink in a process of its own. It speaks gRPC and REST over real sockets, accepts
everything, and responds at once, or after the time that a server needs to write. So the benchmark
measures the sender, and how well it hides the waiting. The client uploads the same points in the
same batches, in one process and in several, and its fastest way counts.
"""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from typing import Any
from uuid import UUID

import grpc  # type: ignore[import-untyped]
import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire

from benchmarks._figures import bound, finish
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.connection import Nodes
from lookalike.engines.server.engine import ServerEngine
from lookalike.types import Point, point_id

POINTS = 6_000
STREAM = 1_000  # points that `copy` and `restore` upsert at once
SIZES = {"clip-vit-b-32": 512, "color": 125, "texture": 198, "phash": 64}
WRITE_SECONDS = 0.01  # time that a server may need to write a batch
ROUNDS = 5


def main() -> None:
    points = draw_points()
    pipe, other = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=sink, args=(other,), daemon=True)
    server.start()
    rest, grpc_port = pipe.recv()
    for prefer_grpc in (True, False):
        for seconds in (0.0, WRITE_SECONDS):
            name = f"{'gRPC' if prefer_grpc else 'REST'}, {1000 * seconds:.0f} ms per request"
            uploads: dict[str, Callable[[QdrantClient], None]] = {
                "lookalike": lambda client: upload_by_engine(client, points),
                "client, arrays": lambda client: upload_arrays(client, points),
                "client, 1": lambda client: upload_structs(client, points, 1),
                "client, 2": lambda client: upload_structs(client, points, 2),
            }
            times: dict[str, list[float]] = {sender: [] for sender in uploads}
            for _ in range(ROUNDS):
                for sender, upload in uploads.items():
                    client = QdrantClient(
                        port=rest,
                        grpc_port=grpc_port,
                        host="127.0.0.1",
                        prefer_grpc=prefer_grpc,
                        check_compatibility=False,
                    )
                    pipe.send(seconds)
                    pipe.recv()
                    started = time.perf_counter()
                    upload(client)
                    times[sender].append(time.perf_counter() - started)
                    pipe.send(None)
                    received = pipe.recv()
                    assert received > POINTS * 4 * sum(SIZES.values()), (
                        f"{sender}: points are missing"
                    )
                    client.close()
            rates = {sender: POINTS / statistics.median(runs) for sender, runs in times.items()}
            print(f"{name}: " + ", ".join(f"{who} {rate:,.0f}/s" for who, rate in rates.items()))
            own = rates.pop("lookalike")
            bound(f"lookalike / the client's best, {name}", own / max(rates.values()), least=0.9)
    server.terminate()
    finish()


def draw_points() -> list[Point]:
    rng = np.random.default_rng(3)
    vectors = {name: rng.random((POINTS, size), np.float32) for name, size in SIZES.items()}
    return [
        Point(
            f"products/{i:08}.jpg",
            {name: rows[i] for name, rows in vectors.items()},
            {
                "category": "dress",
                "price": 10.0 + i,
                "image": {"id": f"products/{i:08}.jpg", "sha256": f"{i:064x}", "width": 346},
            },
        )
        for i in range(POINTS)
    ]


def upload_by_engine(client: QdrantClient, points: list[Point]) -> None:
    options = ServerOptions()
    engine = ServerEngine(Nodes.of(client, options), "catalog", options)
    for start in range(0, len(points), STREAM):
        engine.upsert(points[start : start + STREAM])


def upload_structs(client: QdrantClient, points: list[Point], parallel: int) -> None:
    client.upload_points(
        "catalog",
        (
            models.PointStruct(
                id=_id(point),
                vector={name: vector.tolist() for name, vector in point.vectors.items()},
                payload=dict(point.payload),
            )
            for point in points
        ),
        batch_size=256,
        parallel=parallel,
        wait=True,
    )


def upload_arrays(client: QdrantClient, points: list[Point]) -> None:
    vectors: Any = {name: np.stack([point.vectors[name] for point in points]) for name in SIZES}
    client.upload_collection(
        "catalog",
        vectors=vectors,
        payload=[dict(point.payload) for point in points],
        ids=[_id(point) for point in points],
        batch_size=256,
        wait=True,
    )


def _id(point: Point) -> str:
    id: UUID = point_id(point.id)
    return str(id)


# --- the sink -------------------------------------------------------------------------------


def sink(pipe: Connection) -> None:
    """Serves until it is terminated, and answers every request with success.

    The pipe brings the seconds that each request shall take, or None, which asks for the number of
    bytes received.
    """
    received, pause = [0], [0.0]

    def take(body: bytes) -> None:
        received[0] += len(body)
        time.sleep(pause[0])

    done = wire.PointsOperationResponse(
        result=wire.UpdateResult(operation_id=0, status=wire.Completed)
    )
    grpc_answer: bytes = done.SerializeToString()
    rest_answer = b'{"result":{"operation_id":0,"status":"completed"},"status":"ok","time":0}'

    class Grpc(grpc.GenericRpcHandler):  # type: ignore[misc]
        def service(self, call: Any) -> Any:
            def answer(body: bytes, _: Any) -> bytes:
                take(body)
                return grpc_answer

            return grpc.unary_unary_rpc_method_handler(answer)

    class Rest(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            take(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", str(len(rest_answer)))
            self.end_headers()
            self.wfile.write(rest_answer)

        def log_message(self, *_: object) -> None:
            pass

    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((Grpc(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    http = ThreadingHTTPServer(("127.0.0.1", 0), Rest)
    with ThreadPoolExecutor(1) as pool:
        pool.submit(http.serve_forever)
        pipe.send((http.server_address[1], port))
        while True:
            message = pipe.recv()
            if message is None:
                pipe.send(received[0])
            else:
                pause[0], received[0] = message, 0
                pipe.send(True)


if __name__ == "__main__":
    main()
