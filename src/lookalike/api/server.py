"""Serving the application on a port until the process is told to stop."""

from __future__ import annotations

import gc
import logging
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from lookalike.api.app import create_app
from lookalike.api.middleware.origin import is_loopback
from lookalike.api.options import Options
from lookalike.api.protocol import IDLE_SECONDS, MAX_CONNECTIONS, TimeoutProtocol
from lookalike.api.shutdown import GRACE_SECONDS
from lookalike.errors import InputError
from lookalike.index import Index
from lookalike.system.memory import limit_malloc_arenas
from lookalike.system.processes import allow_open_files

STOP_SECONDS = 7.0
"""Seconds after SIGTERM at which the process ends, whatever it still waits for. Changes that were
acknowledged survive that."""
SPARE_CONNECTIONS = 100
"""Open connections beyond those for which room is made; uvicorn itself answers 503 to more."""
OPEN_FILES = 4_096
"""Files that the process may have open: connections, and the index's own. Systems often allow only
1,024, and a process at its limit accepts no connection at all."""

_log = logging.getLogger("lookalike.api")


def check_host(host: str, options: Options) -> None:
    """Checks that only this machine can reach a service without keys.

    Raises:
        InputError: the address is not a loopback address, and there is no key.
    """
    if not options.requires_key and not is_loopback(host):
        raise InputError(
            f"Refusing to serve on {host} without a key; set LOOKALIKE_WRITE_KEY or bind to "
            "127.0.0.1."
        )


def run(
    index: Index, options: Options, *, host: str, port: int, ready: Callable[[str], object]
) -> None:
    """Serves until SIGTERM or SIGINT; takes and raises what `create_server` does."""
    limit_malloc_arenas()
    allow_open_files(OPEN_FILES)
    server = create_server(index, options, host=host, port=port, ready=ready)
    server.ends_process = True
    # A full collection of the 100,000 objects made so far pauses every thread for 56 ms of CPU
    # time (measured with 40 images); frozen, they are skipped.
    gc.collect()
    gc.freeze()
    with _signals_ignored():
        server.run()


def create_server(
    index: Index, options: Options, *, host: str, port: int, ready: Callable[[str], object]
) -> Server:
    """Returns a server whose port is bound; it accepts requests once it runs.

    Args:
        ready: called with the URL once the service can be reached.

    Raises:
        InputError: the address does not exist, the port is taken, or a key is missing.
    """
    check_host(host, options)
    listener = _bind(host, port)
    config = uvicorn.Config(
        create_app(index, options),
        http=TimeoutProtocol,
        ws="none",
        access_log=False,  # it would record search terms
        log_config=None,  # see `logs`
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=math.ceil(IDLE_SECONDS),
        timeout_graceful_shutdown=math.ceil(GRACE_SECONDS) + 1,
        limit_concurrency=MAX_CONNECTIONS + SPARE_CONNECTIONS,
    )
    return Server(config, listener, ready)


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """Ignores the signal that uvicorn raises again after it has already shut down because of it."""
    handlers = {
        number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


class Server(uvicorn.Server):
    """Reports its URL as soon as it can be reached there, and stops in time.

    Attributes:
        ends_process: whether the process ends `STOP_SECONDS` after a signal at the latest.
    """

    ends_process = False

    def __init__(
        self, config: uvicorn.Config, listener: socket.socket, ready: Callable[[str], object]
    ) -> None:
        super().__init__(config)
        self._listener = listener
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([self._listener])
        address, port = self._listener.getsockname()[:2]
        self._ready(f"http://{f'[{address}]' if ':' in address else address}:{port}")

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.ends_process and not self.should_exit:
            timer = threading.Timer(STOP_SECONDS, _end_process)
            timer.daemon = True
            timer.start()
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app: Any = self.config.app
        app.state.service.shutdown.begin()
        await super().shutdown(sockets)


def _end_process() -> None:
    """Ends the process and its children, which notice that it is gone."""
    _log.warning("The service did not stop in %g s, and ends at once.", STOP_SECONDS)
    os._exit(0)


def _bind(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # asyncio disables Nagle's algorithm only for sockets whose protocol is TCP explicitly;
        # with it, each response would wait 40 ms for an acknowledgment.
        listener = socket.socket(family, kind, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except BaseException:
            listener.close()
            raise
    except OSError as error:
        raise InputError(
            f"Cannot serve on {host}:{port} ({error.strerror or error}); choose another --host or "
            "--port."
        ) from None
    return listener
