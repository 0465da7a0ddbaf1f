"""A model hub of this machine: the routes of Hugging Face's by which files are downloaded."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

COMMIT = "1234567890123456789012345678901234567890"
"""The newest commit of every repository."""


@contextmanager
def model_hub(repositories: Mapping[str, Path]) -> Iterator[tuple[str, list[str]]]:
    """Serves folders as repositories; yields its address, and the paths of its requests."""
    requests: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def log_message(self, *arguments: object) -> None:
            pass

        def _answer(self, *, with_body: bool) -> None:
            path = urlsplit(self.path).path.strip("/").removeprefix("api/models/")
            name = next((one for one in repositories if path.startswith(one)), None)
            if name is None:
                self.send_error(404)
                return
            kind, _, rest = path.removeprefix(name).strip("/").partition("/")
            commit, _, file = rest.partition("/")
            commit = COMMIT if commit in ("", "main") else commit
            headers = {"X-Repo-Commit": commit}
            if kind == "resolve":
                body = (repositories[name] / file).read_bytes()
                headers["ETag"] = f'"{hashlib.sha1(body, usedforsecurity=False).hexdigest()}"'
            else:
                listing = _listing(repositories[name])
                document = {"id": name, "sha": commit, "siblings": []}
                body = json.dumps(listing if kind == "tree" else document).encode()
            self.send_response(200)
            for header, value in {**headers, "Content-Length": len(body)}.items():
                self.send_header(header, str(value))
            self.end_headers()
            if with_body:
                self.wfile.write(body)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", requests
    finally:
        server.shutdown()
        server.server_close()


def _listing(folder: Path) -> list[dict[str, object]]:
    return [
        {
            "type": "file",
            "path": file.relative_to(folder).as_posix(),
            "size": file.stat().st_size,
            "oid": "0" * 40,
        }
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    ]
