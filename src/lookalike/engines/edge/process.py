"""The embedded engine in a process of its own: for a service, which must stay responsive.

Every call of the engine holds the interpreter lock, the one that builds the search graph for
minutes. Here the engine has an interpreter to itself (`_host`), and the graph is built by another
process yet, on a copy: the next generation of the index (see `_generations`).
"""

from __future__ import annotations

import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

from lookalike.engines import check_vectors
from lookalike.engines.edge import generations
from lookalike.engines.edge.engine import RESERVE, EdgeEngine, bytes_on_disk, this_process
from lookalike.engines.edge.process_main import pack, receive, send, unpack
from lookalike.errors import EngineError
from lookalike.system import subprocesses
from lookalike.types import (
    CandidateQuery,
    Candidates,
    FieldType,
    Filter,
    Payload,
    Point,
    Query,
    Scored,
    VectorSpec,
)

__all__ = ["HostedEngine"]

_AT_ONCE = 64
"""Points written or copied by one call of the engine: other calls wait no longer than it takes."""
_READ_AT_ONCE = 256
"""The same of points that are read."""
_FEW = 16
"""Points left to replay at which the switch is made, while other calls wait."""
_BRAKE = 0.05
"""Seconds that each write waits before it is made while the last ones are replayed, so that they
come to an end."""


class HostedEngine:
    """See `protocols.Engine`; for any number of threads.

    A call that the child does not outlive (it was killed, the disk filled under it) raises an
    `EngineError`; the next call starts another child, and nothing acknowledged is lost. Should
    this process die, its children end by themselves.

    Args:
        path: the index's folder; it need not exist yet.
        reserve: free bytes that must remain before a write.
    """

    def __init__(self, path: str | Path, *, reserve: int = RESERVE) -> None:
        self.path = Path(path)
        self._files = EdgeEngine(path, reserve=reserve)  # for files alone: it opens no shard
        self._line = _Line()
        self._live: _Child | None = None
        self._build: _Build | None = None
        self._written = 0  # points, since the last build
        self._asked: dict[str, bytes] = {}  # by method what was last read by it
        self._one_build = threading.Lock()
        self._closing = threading.Lock()
        self._closed = False

    # --- the folder -------------------------------------------------------------------------

    def read_manifest(self) -> Mapping[str, Any] | None:
        return self._files.read_manifest()

    def write_manifest(self, manifest: Mapping[str, Any]) -> None:
        self._files.write_manifest(manifest)

    def create(self, vectors: Sequence[VectorSpec]) -> None:
        self._call("create", list(vectors))

    # --- writing ----------------------------------------------------------------------------

    def create_field_index(self, path: str, type: FieldType) -> None:
        self._call("create_field_index", path, type)

    def upsert(self, points: Sequence[Point]) -> None:
        check_vectors(points)
        for first in range(0, len(points), _AT_ONCE):
            some = points[first : first + _AT_ONCE]
            self._write([point.id for point in some], "upsert", list(some))

    def delete(self, ids: Sequence[str]) -> None:
        for first in range(0, len(ids), _AT_ONCE):
            some = list(ids[first : first + _AT_ONCE])
            self._write(some, "delete", some)

    def set_payload(self, id: str, fields: Payload) -> None:
        self._write([id], "set_payload", id, dict(fields))

    # --- reading ----------------------------------------------------------------------------

    def retrieve(
        self, ids: Sequence[str], *, payload: bool = True, vectors: Sequence[str] = ()
    ) -> list[Point]:
        return cast(
            list[Point], self._read("retrieve", list(ids), payload=payload, vectors=list(vectors))
        )

    def nearest(self, asked: Sequence[CandidateQuery]) -> list[Candidates]:
        return cast(list[Candidates], self._read("nearest", list(asked)))

    def query(self, queries: Sequence[Query]) -> list[list[Scored]]:
        return cast(list[list[Scored]], self._read("query", list(queries)))

    def scroll(
        self,
        filter: Filter | None = None,
        *,
        payload: bool = True,
        vectors: Sequence[str] = (),
        batch: int = 1000,
    ) -> Iterator[list[Point]]:
        offset, most = None, min(batch, _READ_AT_ONCE)
        while True:
            points, offset = self._call("page", offset, filter, payload, list(vectors), most)
            if points:
                yield points
            if offset is None:
                return

    def count(self, filter: Filter | None = None, *, exact: bool = True) -> int:
        return cast(int, self._read("count", filter, exact=exact))

    def facet(
        self, path: str, filter: Filter | None = None, limit: int = 100
    ) -> list[tuple[str | int | bool, int]]:
        return cast(list[tuple[str | int | bool, int]], self._read("facet", path, filter, limit))

    def bounds(
        self, path: str, filter: Filter | None = None
    ) -> tuple[float | str, float | str] | None:
        return cast("tuple[float | str, float | str] | None", self._read("bounds", path, filter))

    # --- upkeep -----------------------------------------------------------------------------

    def optimize(self) -> None:
        """Builds the search graph on a copy, while other calls go on, and switches to it.

        A second caller waits for the first and finds nothing left to do.
        """
        with self._one_build:
            written = self._written
            if self._call("worth_a_build", written):
                # For the copy, and for the segments with a graph that are written beside its own.
                self._files.require_space(2 * bytes_on_disk(self._files.shard_folder))
                self._rebuild()
                with self._line.turn():
                    self._written -= written

    def info(self) -> Mapping[str, Any]:
        """Also `building`: whether a search graph is being built."""
        building = self._build is not None
        return {**cast(dict[str, Any], self._call("info")), "building": building}

    def children(self) -> list[int]:
        """Ids of the processes that work for this one."""
        build = self._build
        children = [self._live, *(build.children if build else ())]
        return [child.pid for child in children if child is not None and child.runs()]

    def close(self) -> None:
        """Flushes and lets go; a build under way is broken off. Doing it again is harmless."""
        with self._closing:
            self._closed = True
            if self._build is not None:
                self._build.stop()
            with self._one_build, self._line.turn():
                child, self._live = self._live, None
                if child is not None:
                    child.close()

    # --- inside -----------------------------------------------------------------------------

    def _call(self, method: str, *arguments: Any, **named: Any) -> Any:
        return self._answered(pack((method, arguments, named)), ())

    def _read(self, method: str, *arguments: Any, **named: Any) -> Any:
        """As `_call`, of what may be asked again at any time."""
        message = self._asked[method] = pack((method, arguments, named))
        return self._answered(message, ())

    def _write(self, ids: Sequence[str], method: str, *arguments: Any) -> None:
        build = self._build
        if build is not None and build.braked:
            time.sleep(_BRAKE)
        self._answered(pack((method, arguments, {})), ids)

    def _answered(self, message: bytes, written: Sequence[str]) -> Any:
        with self._line.turn():
            child = self._running()
            self._written += len(written)
            if self._build is not None:
                self._build.changed.update(dict.fromkeys(written))
            reply = child.post(message)
        return _value(reply())

    def _running(self) -> _Child:
        """The live child, started if there is none."""
        self._check_open()
        if self._live is None or not self._live.runs():
            # While the next generation is built, nobody may clear it away as a leftover.
            ours = generations.current(self.path).name if self._build else None
            self._live = _Child(self._files, ours)
        return self._live

    def _check_open(self) -> None:
        if self._closed:
            raise EngineError(f"The index {self.path} has been closed: open it again.")

    def _rebuild(self) -> None:
        folder = generations.new(self.path)
        with self._line.turn():
            build = self._build = _Build(self._files, folder)
        try:
            self._check_open()  # closing stops the build only if it finds one
            self._copy(build)
            fresh = build.child(background=False)
            fresh.call("count")  # loads the shard
            fresh.call("warm_up")  # and waits for it
            for message in tuple(self._asked.values()):  # the first of each kind takes longer
                fresh.post(message)()
            build.braked = True
            self._catch_up(build, fresh)
            fresh.call("flush")
            # A first write makes files, which may wait for the disk: not while others wait for us.
            fresh.call("take", self._call("copy_from", None, 1)[0])
            pointer = generations.Pointer(folder)
            self._catch_up(build, fresh)  # with what came while the disk was waited for
            old = self._switch(build, fresh, pointer)
        except BaseException:
            with self._line.turn():
                self._build = None
            build.stop()
            if generations.current(self.path) != folder:
                shutil.rmtree(folder, ignore_errors=True)
            self._check_open()
            raise
        old.kill()
        pointer.settle()
        generations.tidy(self.path, folder)

    def _copy(self, build: _Build) -> None:
        """Copies all points to another shard, and builds the graph there."""
        build.folder.mkdir()
        shutil.copy(generations.current(self.path) / "edge_config.json", build.folder)
        builder = build.child(background=True)
        build.index_fields(builder, self._call("fields"))
        offset = None
        while True:
            frame, offset = self._call("copy_from", offset, _AT_ONCE)
            builder.call("take", frame)
            if offset is None:
                break
        builder.call("build")
        builder.kill()

    def _catch_up(self, build: _Build, fresh: _Child) -> None:
        """Replays all that was written since the copy but for a few points."""
        build.index_fields(fresh, self._call("fields"))
        while len(build.changed) > _FEW:
            with self._line.turn():  # what was noted has been sent by the time that it is ours
                ids = build.take_changed(_AT_ONCE)
            fresh.call("take", self._call("copy_of", ids))

    def _switch(self, build: _Build, fresh: _Child, pointer: generations.Pointer) -> _Child:
        """Lets the new shard take over; gives back the child that had the old one."""
        with self._line.turn():
            old = self._running()
            build.index_fields(fresh, old.call("fields"))
            fresh.call("take", old.call("copy_of", list(build.changed)))
            self._live = None  # whatever happens now, what is opened next is what counts
            try:
                pointer.set()
            except BaseException:
                old.kill()
                raise
            self._live, self._build = fresh, None
        return old


class _Build:
    """A graph in the making.

    Attributes:
        folder: of the new shard.
        changed: ids of points written since it began, and not replayed yet; for whose turn it is.
        braked: whether writes are to come more slowly.
        children: the processes at work on it.
    """

    def __init__(self, files: EdgeEngine, folder: Path) -> None:
        self.folder = folder
        self.changed: dict[str, None] = {}
        self.braked = False
        self.children: list[_Child] = []
        self._fields: set[str] = set()
        self._files = files
        self._stopping = threading.Lock()
        self._stopped = False

    def child(self, *, background: bool) -> _Child:
        with self._stopping:
            if self._stopped:
                raise EngineError("The build was stopped.")
            self.children.append(_Child(self._files, self.folder.name, background=background))
            return self.children[-1]

    def index_fields(self, child: _Child, fields: Mapping[str, FieldType]) -> None:
        """Has the new shard index these as well."""
        for path, type in fields.items():
            if path not in self._fields:
                child.call("create_field_index", path, type)
                self._fields.add(path)

    def take_changed(self, most: int) -> list[str]:
        return [self.changed.popitem()[0] for _ in range(min(most, len(self.changed)))]

    def stop(self) -> None:
        """Kills the children, so that what waits for one of them fails."""
        with self._stopping:
            self._stopped = True
            for child in self.children:
                child.kill()


class _Child:
    """One `_host` process. What is posted while it is at work waits in its pipe, so that it need
    not wait for this process, whose threads all want the interpreter lock."""

    def __init__(
        self, files: EdgeEngine, generation: str | None, *, background: bool = False
    ) -> None:
        self._path = files.path
        engine = {
            "path": str(files.path),
            "reserve": files.reserve,
            "generation": generation,
            "owner": this_process(),
        }
        settings = {"engine": engine, "background": background}
        try:
            child = subprocesses.start("lookalike.engines.edge.process_main", settings)
        except OSError as error:
            raise EngineError(f"No process can be started for {self._path}: {error}.") from error
        self._process, self._to, self._from = child
        self._replies = _Line()

    @property
    def pid(self) -> int:
        return self._process.pid

    def runs(self) -> bool:
        return self._process.poll() is None

    def call(self, method: str, *arguments: Any) -> Any:
        return _value(self.post(pack((method, arguments, {})))())

    def post(self, message: bytes) -> Callable[[], bytes]:
        """Sends a message, for one thread at a time; returns what waits for its reply, which the
        same thread must call."""
        with self._unbroken():
            send(self._to, message)
        turn = self._replies.turn()

        def reply() -> bytes:
            with self._unbroken(), turn:
                return receive(self._from)

        return reply

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """Ends a child with which the conversation breaks off."""
        try:
            yield
        except (OSError, EOFError, ValueError):  # ValueError: killed, and its pipes closed
            self.kill()
            raise EngineError(
                f"The engine's process for {self._path} ended ({self._ending()}); nothing that "
                "was confirmed is lost: do the same again."
            ) from None
        except BaseException:  # Ctrl-C: the conversation is broken off
            self.kill()
            raise

    def close(self) -> None:
        """Has it flush, and waits for its end."""
        try:
            if self.runs():
                self.call("close")
        finally:
            self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._to, self._from):
            with suppress(OSError):  # what it did not read is lost with it
                pipe.close()

    def _ending(self) -> str:
        code = self._process.returncode
        if code == -getattr(signal, "SIGBUS", 0):
            return "the disk may be full"
        return f"signal {-code}" if code < 0 else f"exit code {code}"


def _value(reply: bytes) -> Any:
    """The result in a child's reply.

    Raises:
        Exception: the error in it.
    """
    well, value = unpack(reply)
    if well:
        return value
    raise value


class _Line:
    """A lock that threads get in the order in which they line up for it: with a plain one, a thread
    that takes it again and again may leave the others waiting for seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: deque[threading.Lock] = deque()  # the first has its turn

    def turn(self) -> AbstractContextManager[None]:
        """A place in the line, from now on; entered, it waits for its turn."""
        mine = threading.Lock()
        with self._lock:
            if self._places:
                mine.acquire()
            self._places.append(mine)
        return self._turn(mine)

    @contextmanager
    def _turn(self, mine: threading.Lock) -> Iterator[None]:
        try:
            mine.acquire()
            yield
        finally:
            with self._lock:
                first = self._places[0] is mine  # else it goes without its turn, at Ctrl-C
                self._places.remove(mine)
                if first and self._places:
                    self._places[0].release()
