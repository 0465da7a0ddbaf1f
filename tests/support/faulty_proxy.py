"""A proxy in front of an object store that fails as networks and busy stores do."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HOME = "127.0.0.1"


@dataclass
class Fault:
    """A failure of some requests.

    Attributes:
        times: number of requests that it concerns.
        after: number of requests before them that go well.
        status, code: status and S3's code of an error that is answered in place of the store.
        cut: bytes of the body after which the connection ends.
        missing: bytes at its end that the body lacks, as its length says.
        seconds: time until the answer.
        change: called before the request is passed on.
    """

    times: int = 1_000_000
    after: int = 0
    status: int = 0
    code: str = ""
    cut: int | None = None
    missing: int = 0
    seconds: float = 0.0
    change: Callable[[], object] | None = None


class Proxy:
    """A running proxy.

    Attributes:
        url: its address.
        faults: the faults by method and path, as "GET /bucket/key"; that of a bucket's listing has
            its name alone.
        requests: requests so far, likewise.
        ended: set when it ends; faults that take long wait for it.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.faults: dict[str, Fault] = {}
        self.requests: Counter[str] = Counter()
        self.ended = threading.Event()
        self._lock = threading.Lock()

    def fault_of(self, method: str, path: str) -> Fault:
        """Counts a request, and returns what happens to it."""
        name = f"{method} {urlsplit(path).path}"
        fault = self.faults.get(name, Fault())
        with self._lock:
            number = self.requests[name]
            self.requests[name] += 1
        return fault if fault.after <= number < fault.after + fault.times else Fault()


@contextmanager
def faulty_proxy(endpoint: str) -> Iterator[Proxy]:
    """Runs a proxy in front of a store."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            fault = proxy.fault_of(self.command, self.path)
            if fault.change is not None:
                fault.change()
            if proxy.ended.wait(fault.seconds) if fault.seconds else False:
                self.close_connection = True
                return
            with suppress(OSError):  # the client has given up
                if fault.status:
                    self.refuse(fault)
                else:
                    self.forward(body, fault)

        def do_GET(self) -> None:
            self.answer()

        def do_HEAD(self) -> None:
            self.answer()

        def do_PUT(self) -> None:
            self.answer()

        def do_POST(self) -> None:
            self.answer()

        def do_DELETE(self) -> None:
            self.answer()

        def refuse(self, fault: Fault) -> None:
            error = f"<Error><Code>{fault.code}</Code><Message>{fault.code}</Message></Error>"
            self.send_response(fault.status)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(error)))
            self.end_headers()
            self.wfile.write(error.encode())

        def forward(self, body: bytes, fault: Fault) -> None:
            store = HTTPConnection(urlsplit(endpoint).netloc, timeout=60)
            store.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                store.putheader(name, value)
            store.endheaders(body)
            response = store.getresponse()
            data = response.read()
            store.close()
            data = data[: len(data) - fault.missing]
            length = response.headers["Content-Length"] if self.command == "HEAD" else len(data)
            self.send_response(response.status)
            for name, value in response.headers.items():
                if name not in ("Content-Length", "Transfer-Encoding", "Connection"):
                    self.send_header(name, value)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(data[: fault.cut])
            if fault.cut is not None:
                self.wfile.flush()
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((HOME, 0), Handler)
    proxy = Proxy(f"http://{HOME}:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield proxy
    finally:
        proxy.ended.set()
        server.shutdown()
        thread.join()
        server.server_close()
