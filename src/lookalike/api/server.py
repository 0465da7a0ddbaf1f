"""Serving over a port until somebody says stop."""

from __future__ import annotations

import gc
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from lookalike.api import errors
from lookalike.api.app import Options, create_app
from lookalike.api.errors import NoRequest
from lookalike.api.middleware.origin import is_loopback
from lookalike.errors import InputError
from lookalike.index import Index
from lookalike.system.memory import limit_malloc_arenas

STOP_SECONDS = 3
"""What a request may still take when the service is stopped."""
IDLE_SECONDS = 20
"""How long a connection may say nothing."""
CONNECTIONS = 1_000
"""How many there may be; uvicorn itself answers 503 to more."""


def check_host(host: str, options: Options) -> None:
    """Refuses to be reached from elsewhere by everybody.

    Raises:
        InputError: the address is not this machine's own, and there is no key.
    """
    if options.open and not is_loopback(host):
        raise InputError(
            f"Whoever reaches {host} could change the index: give keys with LOOKALIKE_READ_KEY "
            "and LOOKALIKE_WRITE_KEY, or serve on 127.0.0.1."
        )


def run(
    index: Index, options: Options, *, host: str, port: int, ready: Callable[[str], object]
) -> None:
    """Serves until SIGTERM or SIGINT; takes and raises what `server` does."""
    limit_malloc_arenas()
    own = server(index, options, host=host, port=port, ready=ready)
    gc.collect()
    gc.freeze()  # what is there by now stays: looking through it again would hold up requests
    with _signals_ignored():
        own.run()


def server(
    index: Index, options: Options, *, host: str, port: int, ready: Callable[[str], object]
) -> uvicorn.Server:
    """A server that listens, and answers once it is run.

    Args:
        ready: called with the address once it can be reached.

    Raises:
        InputError: there is no such address, the port is taken, or a key is missing.
    """
    check_host(host, options)
    listening = _listen(host, port)
    config = uvicorn.Config(
        create_app(index, options),
        http=_Impatient,
        ws="none",
        access_log=False,  # it would write down what people search for
        log_level=logging.WARNING,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE_SECONDS,
        timeout_graceful_shutdown=STOP_SECONDS,
        limit_concurrency=CONNECTIONS,
    )
    return _Server(config, listening, ready)


@contextmanager
def _signals_ignored() -> Iterator[None]:
    """uvicorn stops at a signal, and then sends it again: by then it has been obeyed."""
    before = {one: signal.signal(one, lambda *_: None) for one in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


class _Server(uvicorn.Server):
    """Says where it is as soon as it can be reached there."""

    def __init__(
        self, config: uvicorn.Config, listening: socket.socket, ready: Callable[[str], object]
    ) -> None:
        super().__init__(config)
        self._listening = listening
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup([self._listening])
        address, port = self._listening.getsockname()[:2]
        self._ready(f"http://{f'[{address}]' if ':' in address else address}:{port}")


class _Impatient(H11Protocol):
    """uvicorn's protocol, which would wait for ever for a request's head, and answers in plain
    text where there is none that our application could see."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._end = self.loop.call_later(IDLE_SECONDS, self._drop)

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._end.cancel()
        self._end = self.loop.call_later(IDLE_SECONDS, self._drop)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end.cancel()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:
        answer = errors.answer(NoRequest("This is no HTTP/1.1 request, or its head is too long."))
        head = h11.Response(
            status_code=answer.status_code,
            headers=[*answer.raw_headers, (b"connection", b"close")],
        )
        for event in (head, h11.Data(data=bytes(answer.body)), h11.EndOfMessage()):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _drop(self) -> None:
        waiting = self.cycle is None or self.cycle.response_complete
        if waiting and not self.transport.is_closing():
            self.transport.close()


def _listen(host: str, port: int) -> socket.socket:
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # Of a socket that does not say that it is TCP's, asyncio does not turn off Nagle's
        # algorithm: each answer would wait 40 ms for an acknowledgment.
        listening = socket.socket(family, kind, socket.IPPROTO_TCP)
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
        except BaseException:
            listening.close()
            raise
    except OSError as error:
        raise InputError(
            f"{host}:{port} cannot be served on ({error.strerror or error}): choose another --host "
            "or --port."
        ) from None
    return listening
