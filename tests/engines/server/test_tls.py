"""TLS with an authority of one's own, certificates that are not trusted, and tokens."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from lookalike.engines.options import ServerOptions
from lookalike.engines.server.engine import ServerEngine
from lookalike.engines.server.errors import failure_of
from lookalike.errors import EngineError, InputError
from lookalike.types import CandidateQuery
from tests.contract.test_engines import SPECS, STYLE, point
from tests.engines.server.conftest import QUICK
from tests.support.command_line import error
from tests.support.qdrant_wire import Fault, GrpcServer, RestServer, Store


@dataclass(frozen=True)
class Certificate:
    """A certificate for 127.0.0.1 and its key; it is its own authority."""

    file: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.file, self.key)
        return context


def certificate(folder: Path, names: str) -> Certificate:
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    if shutil.which("openssl") is None:
        pytest.skip("certificates are made by openssl, which is not installed")
    command = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-subj", "/CN=test", "-addext", f"subjectAltName={names}"),
        *("-keyout", str(made.key), "-out", str(made.file), "-days", "2"),
    ]
    subprocess.run(command, check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("own"), "IP:127.0.0.1")


@pytest.fixture
def secure(own: Certificate, store: Store) -> Iterator[tuple[str, int]]:
    """The address of a server with TLS, and its port of gRPC."""
    pair = (own.key.read_bytes(), own.file.read_bytes())
    with (
        closing(RestServer(store, tls=own.context())) as rest,
        closing(GrpcServer(store, tls=pair)) as grpc,
    ):
        yield rest.url, grpc.port


@pytest.mark.parametrize("grpc", [False, True], ids=["rest", "grpc"])
def test_an_authority_of_one_s_own(own: Certificate, secure: tuple[str, int], grpc: bool) -> None:
    url, port = secure
    options = replace(QUICK, grpc=grpc, grpc_port=port, ca_cert=str(own.file))
    with closing(ServerEngine.connect(url, options)) as engine:
        engine.create(SPECS)
        engine.upsert([point(1)])
        assert len(engine.nearest([CandidateQuery(STYLE, None, 5)])[0]) == 1
        assert engine.client.init_options["prefer_grpc"] is grpc
        assert not any("gRPC" in note for note in engine.info()["notes"])


def test_a_certificate_that_nobody_trusts(secure: tuple[str, int]) -> None:
    url, port = secure
    with pytest.raises(EngineError, match=r"not trusted here .*self.signed.* --server ca_cert"):
        ServerEngine.connect(url, replace(QUICK, grpc=True, grpc_port=port))


def test_a_certificate_for_another_name(tmp_path: Path, store: Store) -> None:
    other = certificate(tmp_path, "DNS:elsewhere.example")
    with (
        closing(RestServer(store, tls=other.context())) as rest,
        pytest.raises(EngineError, match="is for another name"),
    ):
        ServerEngine.connect(rest.url, replace(QUICK, ca_cert=str(other.file)))


def test_a_certificate_that_has_expired() -> None:
    """openssl makes no certificate of the past, so the text of the client stands for one."""
    text = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: certificate has expired"
    failure = failure_of(httpx.ConnectError(f"{text} (_ssl.c:1000)"), "https://host/shop", 5)
    assert str(failure.error).startswith("The certificate of https://host/shop has expired: renew")
    assert not failure.temporary


def test_plain_http_where_there_is_tls(secure: tuple[str, int]) -> None:
    url = secure[0].replace("https:", "http:")
    with pytest.raises(EngineError, match="https"):
        ServerEngine.connect(url, QUICK)


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "cannot be read .*: name another file"), ("no PEM", "has no certificate in it")],
)
def test_a_file_without_certificates(tmp_path: Path, text: str | None, message: str) -> None:
    file = tmp_path / "ca.pem"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InputError, match=message):
        ServerEngine.connect("https://127.0.0.1:1/x", replace(QUICK, ca_cert=str(file)))


@pytest.mark.parametrize("status", [401, 403])
def test_an_expired_token(engine: ServerEngine, store: Store, status: int) -> None:
    store.faults.append(Fault(status, "Forbidden: Invalid JWT: ExpiredSignature"))
    with pytest.raises(EngineError, match=r"The token for .* has expired: set QDRANT_API_KEY"):
        engine.count()


def test_rest_in_place_of_grpc_is_told(store: Store, rest: RestServer) -> None:
    options = ServerOptions(grpc_port=rest.port, timeout=2)
    with closing(ServerEngine.connect(rest.url, options)) as engine:
        engine.create(SPECS)
        (note,) = engine.info()["notes"]
    assert "over REST, which is several times slower, as gRPC does not answer at its port" in note


def test_lines_of_the_c_core_stay_off_the_terminal(secure: tuple[str, int]) -> None:
    url, port = secure
    code = (
        "from lookalike.engines import ServerOptions, open_engine\n"
        "from lookalike.errors import EngineError\n"
        f"try: open_engine({url!r}, ServerOptions(grpc_port={port}))\n"
        "except EngineError as error: print(error)\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    assert "not trusted here" in ran.stdout


def test_options_from_the_environment(own: Certificate, secure: tuple[str, int]) -> None:
    url, port = secure
    env = {"LOOKALIKE_SERVER": f"ca_cert={own.file}, grpc_port={port}"}
    assert "not trusted here" in error("stats", "--index", url, code=1)
    assert "There is no index" in error("stats", "--index", url, env=env)
    unknown = {"LOOKALIKE_SERVER": "x"}
    assert "Unknown server option 'x'" in error("stats", "--index", url, env=unknown)
