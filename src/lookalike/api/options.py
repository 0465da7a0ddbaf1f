"""Settings of the HTTP service."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the HTTP service.

    Attributes:
        state: folder for query images, jobs and duplicate groups, unless services share them: see
            `system.state`.
        uploads: folder for images added over HTTP; None refuses them.
        read_key, write_key: API keys. Without either, every caller may do everything, so the
            service must be reachable from this machine only.
        roots: folders on this machine that ingest jobs may read, including subfolders.
        addresses: addresses of what they may read elsewhere, without a slash at the end: folders in
            object stores, feeds or folders of a web server, and queues.
        allow_url_fetch: whether a search may name query images by URL, and a file in a root images
            on the web.
        private: hosts of a private network that jobs may fetch from, such as 10.0.0.5:8080.
        log_queries: whether to keep the last ids and texts of searches, in `state`.
        cors: origins of other pages that may call the API, such as "https://shop.example".
        max_upload_bytes: largest body of a request that carries images.
        query_image_bytes: disk budget for stored query images, of each role.
        receive_timeout: seconds a client may take to send a request body.
        response_timeout: seconds that producing a response may take.
        write_timeout: seconds a write waits for another one to finish.
        max_requests: requests in flight; the service answers 503 to more.
        max_image_requests: requests in flight that carry images; counted among the above.
        pages: folder of the built web page.
    """

    state: Path
    uploads: Path | None = None
    read_key: str | None = None
    write_key: str | None = None
    roots: tuple[Path, ...] = ()
    addresses: tuple[str, ...] = ()
    allow_url_fetch: bool = False
    private: tuple[str, ...] = ()
    log_queries: bool = False
    cors: tuple[str, ...] = ()
    max_upload_bytes: int = 100 * 10**6
    query_image_bytes: int = 500 * 10**6
    receive_timeout: float = 60.0
    response_timeout: float = 120.0
    write_timeout: float = 15.0
    max_requests: int = 64
    max_image_requests: int = 16
    pages: Path = Path(__file__).parent / "static"

    @property
    def requires_key(self) -> bool:
        """True if callers must send an API key."""
        return self.read_key is not None or self.write_key is not None
