"""Images are fetched from the public internet, and from nowhere else."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from shutil import which

import pytest

from lookalike.errors import ImageRejected, InputError, Reason
from lookalike.sources.web.fetcher import Fetcher
from lookalike.sources.web.public_addresses import is_public
from lookalike.types import DecodeLimits

PICTURE = b"\xff\xd8\xff" + bytes(range(256)) * 40
HOME = "127.0.0.1"


class Site(BaseHTTPRequestHandler):
    """A site that serves a picture, or misbehaves, depending on the path."""

    requests: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        self.requests.append(
            (self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        page = self.path.partition("?")[0]
        if page.startswith("/to/"):
            self.redirect(self.path.removeprefix("/to/"))
        elif page.startswith("/again/"):
            self.redirect(f"/again/{int(page.removeprefix('/again/')) + 1}")
        elif page == "/claims":
            self.begin(length=10**9)
        elif page == "/endless":
            self.begin()
            self.drip(bytes(60_000), pause=0)
        elif page == "/slow":
            self.begin(length=len(PICTURE))
            self.drip(b"x")
        elif page == "/slow-header":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
            self.drip(b"x")
        elif page == "/short":
            self.begin(length=2 * len(PICTURE))
            self.wfile.write(PICTURE)
            self.close_connection = True
        elif page == "/empty":
            self.begin(length=0)
        elif page == "/missing":
            self.send_error(404, "secret of the network")
        else:
            self.begin(length=len(PICTURE))
            self.wfile.write(PICTURE)

    def redirect(self, location: str) -> None:
        self.send_response(302)
        self.send_header("Location", location)
        self.end_headers()

    def begin(self, length: int | None = None) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")  # ignored by the fetcher
        if length is not None:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def drip(self, block: bytes, pause: float = 0.05) -> None:
        try:
            for _ in range(10_000):
                self.wfile.write(block)
                time.sleep(pause)
        except OSError:
            pass  # the client has disconnected

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site() -> Iterator[ThreadingHTTPServer]:
    Site.requests = []
    with ThreadingHTTPServer((HOME, 0), Site) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield server
        server.shutdown()


def port_of(site: ThreadingHTTPServer) -> int:
    return int(site.server_address[1])


@pytest.fixture
def fetcher(site: ThreadingHTTPServer) -> Fetcher:
    """A fetcher that may contact the site on this machine."""
    return Fetcher(DecodeLimits(bytes=200_000), timeout=1.0, allowed={(HOME, port_of(site))})


@pytest.fixture
def at(site: ThreadingHTTPServer) -> str:
    return f"http://{HOME}:{port_of(site)}"


# --- downloads --------------------------------------------------------------------------------


def test_a_file_is_fetched_unchanged(fetcher: Fetcher, at: str) -> None:
    assert fetcher.fetch(f"{at}/a.jpg?size=large&q=ü#top") == PICTURE
    (path, headers), *others = Site.requests
    assert path == "/a.jpg?size=large&q=%C3%BC"
    assert headers["host"] == at.removeprefix("http://")
    assert headers["accept-encoding"] == "identity"
    assert not others


def test_redirects_are_followed_three_times(fetcher: Fetcher, at: str) -> None:
    assert fetcher.fetch(f"{at}/to//to/{at}/to//a.jpg") == PICTURE
    assert len(Site.requests) == 4
    with pytest.raises(InputError, match="Too many redirects \\(limit 3\\)"):
        fetcher.fetch(f"{at}/again/0")
    assert len(Site.requests) == 8


def test_the_connection_goes_to_the_address_that_was_checked(
    site: ThreadingHTTPServer, fetcher: Fetcher
) -> None:
    """A resolver that returns an allowed address first and a private one later is asked once."""
    answers = [[HOME], ["127.0.0.2"]]
    lookups: list[str] = []

    def resolve(host: str) -> list[str]:
        lookups.append(host)
        return answers[min(len(lookups), len(answers)) - 1]

    rebinding = Fetcher(allowed=fetcher.allowed, resolve=resolve)
    url = f"http://pictures.example:{port_of(site)}"
    assert rebinding.fetch(f"{url}/a.jpg") == PICTURE
    assert lookups == ["pictures.example"]
    assert Site.requests[0][1]["host"] == f"pictures.example:{port_of(site)}"
    lookups.clear()
    with pytest.raises(InputError, match="public internet"):  # each redirect is resolved again
        rebinding.fetch(f"{url}/to//a.jpg")
    assert len(lookups) == 2


@pytest.mark.parametrize("host", ["Pictures.Example", "[2606:4700::1111]", "a" * 60])
def test_the_host_header_names_the_host(
    site: ThreadingHTTPServer, fetcher: Fetcher, host: str
) -> None:
    port = port_of(site)
    local = Fetcher(allowed=fetcher.allowed, resolve=lambda _: [HOME])
    assert local.fetch(f"http://{host}:{port}/a.jpg") == PICTURE
    assert Site.requests[0][1]["host"] == f"{host.lower()}:{port}"


def test_proxies_of_the_environment_are_not_used(
    fetcher: Fetcher, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    assert fetcher.fetch(f"{at}/a.jpg") == PICTURE


# --- refusals ---------------------------------------------------------------------------------

PRIVATE = [
    "127.0.0.1", "127.9.9.9", "0.0.0.1", "10.1.2.3", "172.16.0.1", "172.31.255.255",
    "192.168.1.1", "169.254.169.254", "169.254.170.2", "100.64.0.1", "100.100.100.200",
    "192.0.0.192", "168.63.129.16", "192.0.2.1", "198.18.0.1", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255",
    "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1",
    "2001:db8::1", "100::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::127.0.0.1", "2002:7f00:1::", "2002:a00:1::1",
    "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1",
    "2001:0:7f00:1::1", "2001:0:5db8:d822:0:0:f5ff:fffe",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("93.184.216.34", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111"),
        *("::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "2002:808:808::1"),
    ],
)
def test_a_public_address_is_public(address: str) -> None:
    assert is_public(address)


def test_loopback_is_refused_in_every_spelling(site: ThreadingHTTPServer) -> None:
    port = port_of(site)
    fetcher = Fetcher(ports=(port,))
    hosts = ["127.0.0.1", "localhost", "127.1", "2130706433", "0x7f.1", "017700000001", "0"]
    for host in [*hosts, "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "127。0。0。1"]:
        with pytest.raises(InputError, match="not a host on the public internet"):
            fetcher.fetch(f"http://{host}:{port}/a.jpg")
    assert not Site.requests


def test_a_redirect_to_a_private_address_is_refused(
    fetcher: Fetcher, at: str, tmp_path: Path
) -> None:
    with socket.create_server((HOME, 0)) as inside:
        inside.settimeout(0.2)
        port = inside.getsockname()[1]
        for host in (HOME, "localhost", "[::1]"):
            with pytest.raises(InputError, match="not a host on the public internet"):
                fetcher.fetch(f"{at}/to/http://{host}:{port}/latest/meta-data")
        with pytest.raises(TimeoutError):
            inside.accept()
    (tmp_path / "secret").write_text("secret")
    for scheme in (f"file://{tmp_path}/secret", "ftp://example.org/a", "gopher://127.0.0.1/"):
        with pytest.raises(InputError, match="Only complete http:// and https://"):
            fetcher.fetch(f"{at}/to/{scheme}")


def test_one_private_address_of_several_discredits_the_name(site: ThreadingHTTPServer) -> None:
    addresses: list[str] = []
    fetcher = Fetcher(allowed={(HOME, port_of(site))}, resolve=lambda _: addresses)
    for private in ("127.0.0.2", "10.0.0.1", "::1"):
        for addresses[:] in ([HOME, private], [private, HOME]):
            with pytest.raises(InputError, match="public internet"):
                fetcher.fetch(f"http://pictures.example:{port_of(site)}/a.jpg")
    assert not Site.requests


def test_a_private_host_gives_the_same_error_as_an_unknown_one() -> None:
    def unknown(host: str) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    errors = []
    for resolve in (unknown, lambda _: ["10.0.0.1"], lambda _: []):
        with pytest.raises(InputError) as caught:
            Fetcher(resolve=resolve).fetch("http://intranet.example/a.jpg")
        errors.append(str(caught.value))
    assert len(set(errors)) == 1


def test_other_ports_are_refused() -> None:
    fetcher = Fetcher(resolve=lambda _: ["8.8.8.8"])
    with pytest.raises(InputError, match="from port 80 or 443, not from 22"):
        fetcher.fetch("http://example.org:22/a.jpg")


@pytest.mark.parametrize(
    "url",
    [
        *("", "a.jpg", "//example.org/a.jpg", "http:///a.jpg", "http://", "http://:80/", "HTTP"),
        *("file:///etc/passwd", "ftp://example.org/a", "data:image/png;base64,AAAA"),
        *("http://example.org:0/", "http://example.org:99999/", "http://example.org:x/"),
        *("http://exa mple.org/", "http://example.org/a\r\nX-Header: 1", "http://a\x00b/"),
        *("http://example.org\\@127.0.0.1/", "http://a..b/", f"http://{'a' * 64}.org/"),
        *("http://[::1/", "http://[fe80::1%25eth0]/", "\ud800", "http://\ud800.org/"),
        *("http://user:word@example.org/", "http://user@example.org/", "http://%31/"),
    ],
)
def test_an_invalid_url_is_refused(url: str) -> None:
    with pytest.raises(InputError, match=r"\.$"):
        Fetcher(resolve=lambda _: ["127.0.0.1"]).fetch(url)


@pytest.mark.parametrize("page", ["claims", "endless"])
def test_an_oversized_file_is_refused_early(fetcher: Fetcher, at: str, page: str) -> None:
    with pytest.raises(ImageRejected) as caught:
        fetcher.fetch(f"{at}/{page}")
    assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("page", ["slow", "slow-header"])
def test_a_slow_sender_is_cut_off(fetcher: Fetcher, at: str, page: str) -> None:
    started = time.monotonic()
    with pytest.raises(InputError, match="did not deliver within 1 s"):
        fetcher.fetch(f"{at}/{page}")
    assert time.monotonic() - started < 2


def test_a_peer_that_never_starts_tls_is_cut_off() -> None:
    with socket.create_server((HOME, 0)) as server:
        port = server.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(InputError, match=r"did not deliver within 0\.5 s"):
            Fetcher(timeout=0.5, allowed={(HOME, port)}).fetch(f"https://{HOME}:{port}/")
        assert time.monotonic() - started < 2


def test_a_peer_that_never_reads_is_cut_off() -> None:
    """The URL is longer than what the system buffers between the two ends."""
    with socket.create_server((HOME, 0)) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        port = server.getsockname()[1]
        started = time.monotonic()
        with pytest.raises(InputError, match=r"did not deliver within 0\.5 s"):
            url = f"http://{HOME}:{port}/{'a' * 8_000_000}"
            Fetcher(timeout=0.5, allowed={(HOME, port)}).fetch(url)
        assert time.monotonic() - started < 2


def test_a_file_that_ends_early_is_an_input_error(fetcher: Fetcher, at: str) -> None:
    with pytest.raises(InputError, match="broke off its answer"):
        fetcher.fetch(f"{at}/short")


def test_a_hanging_resolver_does_not_block() -> None:
    def hang(host: str) -> list[str]:
        time.sleep(3)
        return []

    started = time.monotonic()
    with pytest.raises(InputError, match="did not deliver"):
        Fetcher(timeout=0.2, resolve=hang).fetch("http://example.org/")
    assert time.monotonic() - started < 1


def test_error_pages_are_not_passed_on(fetcher: Fetcher, at: str) -> None:
    with pytest.raises(InputError) as caught:
        fetcher.fetch(f"{at}/missing")
    assert "404" in str(caught.value)
    assert "secret" not in str(caught.value)
    with pytest.raises(ImageRejected) as rejected:
        fetcher.fetch(f"{at}/empty")
    assert rejected.value.reason is Reason.EMPTY


def test_a_closed_port_and_another_protocol_are_input_errors() -> None:
    with socket.create_server((HOME, 0)) as server:
        port = server.getsockname()[1]

        def speak_ssh() -> None:
            peer, _ = server.accept()
            with peer:
                peer.recv(1000)
                peer.sendall(b"SSH-2.0-secret\r\n")

        thread = threading.Thread(target=speak_ssh)
        thread.start()
        fetcher = Fetcher(timeout=2, allowed={(HOME, port)})
        with pytest.raises(InputError, match="cannot be reached") as caught:
            fetcher.fetch(f"http://{HOME}:{port}/")
        thread.join()
    assert "SSH" not in str(caught.value)
    with pytest.raises(InputError, match="cannot be reached"):
        fetcher.fetch(f"http://{HOME}:{port}/")


def test_the_certificate_is_checked_against_the_name(
    site: ThreadingHTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    openssl = which("openssl")
    if openssl is None:
        pytest.skip("needs the openssl command, which is not installed")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    name = ["-subj", "/CN=pictures.example", "-addext", "subjectAltName=DNS:pictures.example"]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *name]
    subprocess.run(
        [*command, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    port = port_of(site)
    fetcher = Fetcher(timeout=5, allowed={(HOME, port)}, resolve=lambda _: [HOME])
    url = f"https://pictures.example:{port}/a.jpg"
    with pytest.raises(InputError, match="cannot be reached"):  # the certificate is self-signed
        fetcher.fetch(url)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    assert fetcher.fetch(url) == PICTURE
    with pytest.raises(InputError, match="cannot be reached"):
        fetcher.fetch(url.replace("pictures", "others"))
