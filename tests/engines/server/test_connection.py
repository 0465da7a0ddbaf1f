"""Connections of the server engine: addresses, protocols, keys, and servers that are refused."""

from __future__ import annotations

import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest
from qdrant_client import models

from lookalike.engines import open_engine
from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from lookalike.errors import EngineError
from tests.contract.test_engines import SPECS
from tests.engines.server.conftest import QUICK
from tests.support.qdrant_wire import GrpcServer, RestServer, Store


def test_an_address_opens_a_server(rest: RestServer) -> None:
    with closing(open_engine(rest.url, QUICK)) as engine:
        assert isinstance(engine, ServerEngine)
        assert engine.read_manifest() is None
        assert engine.url == rest.url


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://localhost:6333", "does not name a collection; write it like"),
        ("http://localhost:6333/", "does not name a collection"),
        ("http:///catalog", "does not name a collection"),
        ("http://localhost:port/catalog", "is not a valid address"),
        ("http://localhost:99999/catalog", "is not a valid address"),
    ],
)
def test_addresses_that_are_none(url: str, message: str) -> None:
    with pytest.raises(EngineError, match=message):
        open_engine(url, QUICK)


def test_a_prefix_stands_before_the_collection(store: Store) -> None:
    with closing(RestServer(store, prefix="/qdrant")) as server:
        url = server.url.replace("/catalog", "/qdrant/catalog")
        with closing(open_engine(url, QUICK)) as engine:
            assert engine.read_manifest() is None


@pytest.mark.parametrize(("speaks", "expected"), [(True, True), (False, False)])
def test_grpc_is_spoken_where_the_server_does(
    store: Store, rest: RestServer, speaks: bool, expected: bool
) -> None:
    with closing(GrpcServer(store)) as grpc:
        # Without a server of its own the port is that of REST, which is no gRPC.
        options = replace(QUICK, grpc=True, grpc_port=grpc.port if speaks else rest.port)
        with closing(ServerEngine.connect(rest.url, options)) as engine:
            assert engine.client.init_options["prefer_grpc"] is expected
            assert engine.read_manifest() is None


def test_without_the_extra_it_says_what_to_install() -> None:
    code = """
        import sys
        sys.modules["qdrant_client"] = None
        from lookalike.engines import open_engine
        open_engine("http://localhost:6333/catalog")
    """
    ran = subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())],
        capture_output=True,
        text=True,
    )
    assert ran.stderr.splitlines()[-1].endswith('run `pip install "lookalike[server]"`.')


def test_the_embedded_engine_does_not_import_the_client(tmp_path: Path) -> None:
    code = f"""
        import sys
        from lookalike.engines import open_engine
        open_engine({str(tmp_path)!r})
        assert "qdrant_client" not in sys.modules
    """
    subprocess.run(
        [sys.executable, "-c", "\n".join(line.strip() for line in code.splitlines())], check=True
    )


# --- servers that cannot be used ------------------------------------------------------------


def test_a_server_that_is_not_there(rest: RestServer) -> None:
    rest.close()
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"cannot be reached \(.*refused.*start the server"):
        open_engine(rest.url, replace(QUICK, grpc=True, backoff=60))
    assert time.monotonic() - started < 5  # it does not wait for a server to start


def test_https_where_the_server_has_none(rest: RestServer) -> None:
    with pytest.raises(EngineError, match="whether it is http or https"):
        open_engine(rest.url.replace("http:", "https:"), QUICK)


def test_something_else_at_the_address() -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>It works!</html>")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        with pytest.raises(EngineError, match="does not respond like a Qdrant server"):
            open_engine(f"http://127.0.0.1:{server.server_address[1]}/catalog", QUICK)
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_that_is_too_old(store: Store, rest: RestServer) -> None:
    store.version = "1.12.4"
    with pytest.raises(EngineError, match=r"runs Qdrant 1\.12\.4, but lookalike needs 1\.19"):
        open_engine(rest.url, QUICK)


@pytest.mark.parametrize("key", [None, "wrong"])
def test_a_wrong_key(store: Store, rest: RestServer, key: str | None) -> None:
    store.api_key = "right"
    with closing(open_engine(rest.url, replace(QUICK, api_key=key))) as engine:
        with pytest.raises(EngineError, match="requires an API key"):
            engine.read_manifest()
        assert store.requests == ["exists"]  # one try
    with closing(open_engine(rest.url, replace(QUICK, api_key="right"))) as engine:
        assert engine.read_manifest() is None


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(ServerOptions(api_key="secret"))


def test_a_wrong_key_over_grpc(engine: ServerEngine, store: Store) -> None:
    store.api_key = "right"
    with pytest.raises(EngineError, match="requires an API key"):
        engine.count()


def test_a_collection_that_is_not_ours(store: Store, rest: RestServer) -> None:
    vectors = {"style": models.VectorParams(size=24, distance=models.Distance.COSINE)}
    store.local.create_collection("catalog", vectors_config=vectors)
    with closing(open_engine(rest.url, QUICK)) as engine:
        with pytest.raises(EngineError, match="lookalike did not create it; choose another"):
            engine.read_manifest()
        with pytest.raises(EngineError, match="lookalike did not create it; choose another"):
            engine.create(SPECS)


def test_a_collection_that_was_dropped(engine: ServerEngine, store: Store) -> None:
    store.local.delete_collection("catalog")
    with pytest.raises(
        EngineError, match=r"The collection http://.*/catalog does not exist; create it"
    ):
        engine.count()
