"""A site with pictures for tests: a real HTTP server on this machine, which may misbehave."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HOME = "127.0.0.1"


@dataclass
class Page:
    """A file of the site.

    Attributes:
        body: its bytes.
        etag, modified: values of the headers; empty for none.
        type: value of the header Content-Type.
        status: status of the answer.
        headers: further headers.
        seconds: time before the answer.
    """

    body: bytes = b""
    etag: str = ""
    modified: str = ""
    type: str = "application/octet-stream"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @classmethod
    def tagged(cls, body: bytes) -> Page:
        """A file with an ETag."""
        return cls(body, etag=f'"{sha256(body).hexdigest()[:16]}"')


class Site:
    """A running site.

    Attributes:
        pages: files by path; a function of the query makes one on demand.
        requests: paths in the order in which they were asked for.
        sent: bodies sent, by path.
        most: the most requests at once so far.
    """

    def __init__(self, port: int) -> None:
        self.port = port
        self.pages: dict[str, Page | Callable[[str], Page]] = {}
        self.requests: list[str] = []
        self.sent: Counter[str] = Counter()
        self.most = 0
        self.current = 0
        self.lock = threading.Lock()

    @property
    def host(self) -> str:
        return f"{HOME}:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    def forget(self) -> None:
        """Forgets the requests so far."""
        self.requests.clear()
        self.sent.clear()


@contextmanager
def open_site() -> Iterator[Site]:
    """Runs a site on this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            with site.lock:
                site.requests.append(self.path)
                site.current += 1
                site.most = max(site.most, site.current)
            try:
                page = site.pages.get(path, Page(status=404))
                self.answer(path, page if isinstance(page, Page) else page(query))
            finally:
                with site.lock:
                    site.current -= 1

        def answer(self, path: str, page: Page) -> None:
            time.sleep(page.seconds)
            same = page.etag and self.headers.get("If-None-Match") == page.etag
            if not self.headers.get("If-None-Match"):
                same = page.modified and self.headers.get("If-Modified-Since") == page.modified
            body = b"" if same else page.body
            self.send_response(304 if same else page.status)
            for name, value in {
                "ETag": page.etag,
                "Last-Modified": page.modified,
                "Content-Type": page.type,
                "Content-Length": "" if same else str(len(body)),
                **page.headers,
            }.items():
                if value:
                    self.send_header(name, value)
            try:
                self.end_headers()
                self.wfile.write(body)
            except OSError:
                return  # the client has given up
            if body:
                site.sent[path] += 1

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer((HOME, 0), Handler) as server:
        server.daemon_threads = True
        site = Site(int(server.server_address[1]))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        yield site
        server.shutdown()
