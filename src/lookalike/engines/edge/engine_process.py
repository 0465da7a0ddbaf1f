"""The parent's end of a child process that runs the embedded engine."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from lookalike.engines.edge.folder import IndexFolder, this_process
from lookalike.engines.edge.messages import pack, result
from lookalike.errors import EngineError
from lookalike.system import subprocesses
from lookalike.system.framing import receive_bytes, send_bytes
from lookalike.system.locks import TicketLock


class EngineProcess:
    """A child process that runs a `ChildEngine`.

    Requests are pipelined: the next one waits in the pipe, so the child never idles while the
    threads of this process contend for the GIL.

    Args:
        folder: the index.
        generation: name of the shard's folder; None for the current one.
        background: whether the child gives way to all other processes.
        salvage: whether it opens a damaged shard.
    """

    def __init__(
        self,
        folder: IndexFolder,
        generation: str | None,
        *,
        background: bool = False,
        salvage: bool = False,
    ) -> None:
        self._path = folder.path
        engine = {
            "path": str(folder.path),
            "reserve": folder.reserve,
            "generation": generation,
            "owner": this_process(),
            "salvage": salvage,
        }
        settings = {"engine": engine, "background": background}
        try:
            child = subprocesses.start("lookalike.engines.edge.process_main", settings)
        except OSError as error:
            raise EngineError(
                f"The engine's process for {self._path} cannot be started ({error}); free some "
                "memory or processes and try again."
            ) from error
        self._process, self._requests, self._replies = child
        self._reply_order = TicketLock()

    @property
    def pid(self) -> int:
        return self._process.pid

    def is_running(self) -> bool:
        return self._process.poll() is None

    def call(self, method: str, *arguments: Any) -> Any:
        return result(self.post(pack((method, arguments, {})))())

    def post(self, message: bytes) -> Callable[[], bytes]:
        """Sends a request, and returns a function that waits for the reply.

        One thread at a time may post, and the thread that posted must call the function.
        """
        with self._killed_on_failure():
            send_bytes(self._requests, message)
        ticket = self._reply_order.ticket()

        def reply() -> bytes:
            with self._killed_on_failure(), ticket:
                return receive_bytes(self._replies)

        return reply

    @contextmanager
    def _killed_on_failure(self) -> Iterator[None]:
        """Kills the child if a request or a reply is cut off, as what follows would not match."""
        try:
            yield
        except (OSError, EOFError, ValueError):  # ValueError: its pipes are closed
            self.kill()
            raise EngineError(
                f"The engine's process for {self._path} ended ({self._cause_of_end()}); no "
                "confirmed write is lost, so run the same again."
            ) from None
        except BaseException:  # Ctrl-C
            self.kill()
            raise

    def close(self) -> None:
        """Has the engine flush and close the shard, and ends the child."""
        try:
            if self.is_running():
                self.call("close")
        finally:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._requests, self._replies):
            with suppress(OSError):  # a request that the child did not read is lost with it
                pipe.close()

    def _cause_of_end(self) -> str:
        code = self._process.returncode
        if code == -getattr(signal, "SIGBUS", 0):
            return "the disk may be full"
        return f"signal {-code}" if code < 0 else f"exit code {code}"
