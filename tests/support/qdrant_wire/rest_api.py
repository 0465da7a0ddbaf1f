"""The REST API."""

# ruff: noqa: N815 -- the names are http.server's
from __future__ import annotations

import json
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pydantic_core
from qdrant_client import models

from tests.support.qdrant_wire.refusals import Rejected
from tests.support.qdrant_wire.store import Store, request_name


def _route(
    store: Store, method: str, path: list[str], body: bytes, node: int
) -> tuple[str, Callable[[], Any]]:
    """The name of a request, and the work to do for it."""
    local = store.local
    read: Callable[[Any], Any] = lambda kind: kind.model_validate_json(body)  # noqa: E731
    name = path[1] if len(path) > 1 else ""
    if name and name == store.denied:
        raise Rejected(403, f"Forbidden: Access to collection {name} is required")
    match method, path[2:] if path[:1] == ["collections"] else path:
        case "GET", [""] | ["readyz"]:
            info = {"title": "qdrant", "version": store.version, "commit": None}
            return "root", lambda: info
        case "GET", ["cluster"] if path == ["cluster"]:
            return "cluster", store.cluster
        case "GET", ["cluster"]:
            return "placement", lambda: store.collection_cluster(name, node)
        case "POST", ["cluster"]:
            return "operation", lambda: store.change_cluster(name, json.loads(body))
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
        case "PUT", ["index"]:
            request = read(models.CreateFieldIndex)
            return "index", lambda: local.create_payload_index(
                name, request.field_name, request.field_schema
            )
        case "PUT", ["vectors", vector]:
            dense = models.DenseVectorNameConfig.model_validate_json(body)
            return "vectors", lambda: local.create_vector_name(name, vector, dense)
        case "DELETE", ["vectors", vector]:
            return "vectors", lambda: local.delete_vector_name(name, vector)
        case "PUT", ["points"]:
            request = read(models.PointsList)
            return "upsert", lambda: store.upsert(name, request.points, request.update_mode)
        case "POST", ["points"]:
            request = read(models.PointRequest)
            return "retrieve", lambda: local.retrieve(
                name,
                request.ids,
                with_payload=request.with_payload,
                with_vectors=request.with_vector,
            )
        case "POST", ["points", "delete"]:
            return "delete", lambda: local.delete(name, read(models.PointIdsList))
        case "POST", ["points", "batch"]:
            operations = read(models.UpdateOperations).operations
            return "batch", lambda: store.change(name, operations)
        case "POST", ["points", "query", "batch"]:
            searches = read(models.QueryRequestBatch).searches
            return "query", lambda: store.query(name, searches)
        case "POST", ["points", "count"]:
            request = read(models.CountRequest)
            return "count", lambda: store.count(name, request.filter, request.exact)
        case "POST", ["points", "scroll"]:
            request = read(models.ScrollRequest)
            return "scroll", lambda: dict(
                zip(
                    ("points", "next_page_offset"),
                    store.scroll(
                        name,
                        request.filter,
                        request.limit,
                        request.order_by,
                        request.offset,
                        request.with_payload,
                        request.with_vector,
                    ),
                    strict=True,
                )
            )
        case "POST", ["facet"]:
            request = read(models.FacetRequest)
            return "facet", lambda: store.facet(
                name, request.key, request.filter, request.limit, request.exact
            )
    raise Rejected(404, "no such path")


class _QuietServer(ThreadingHTTPServer):
    """A server that keeps connections that fail, as in a handshake, to itself."""

    def handle_error(self, *_: object) -> None:
        pass


class RestServer:
    """A REST server on a port of its own; `url` is the address of a collection there."""

    def __init__(
        self,
        store: Store,
        port: int = 0,
        prefix: str = "",
        node: int = 0,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                url = urllib.parse.urlsplit(self.path)
                path = urllib.parse.unquote(url.path)
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                key = self.headers.get("api-key")
                status, headers, result = 200, dict[str, str](), None
                try:
                    steps = path.removeprefix(prefix).strip("/").split("/")
                    name, work = _route(store, self.command, steps, body, node)
                    name = request_name(name, steps[1] if len(steps) > 1 else "")
                    everywhere = "consistency=all" in url.query
                    result = store.do(name, key, work, everywhere=everywhere, node=node)
                    reply = result if name == "root" else {"result": result, "status": "ok"}
                except Rejected as rejected:
                    status, headers = rejected.status, dict(rejected.headers)
                    reply = {"status": {"error": rejected.error}, "time": 0.0}
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

        self.http = _QuietServer(("127.0.0.1", port), Handler)
        if tls is not None:
            self.http.socket = tls.wrap_socket(
                self.http.socket, server_side=True, do_handshake_on_connect=False
            )
        self._scheme = "http" if tls is None else "https"
        self.port: int = self.http.server_address[1]
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}/catalog"

    def close(self) -> None:
        self.http.shutdown()
        self.http.server_close()
