"""Opening of indexes, engines and files for the commands."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, cast

import click

from lookalike.cli.options import WAIT
from lookalike.errors import InputError, LookalikeError
from lookalike.system import patience

if TYPE_CHECKING:
    from lookalike.admin.copy import NamedEngine
    from lookalike.engines.options import ServerOptions
    from lookalike.engines.server.engine import ServerEngine
    from lookalike.index import Index
    from lookalike.ray import RayExecutor


def open_index(
    url: str | None,
    *,
    create: bool = False,
    server: dict[str, str] | None = None,
    **options: Any,
) -> Index:
    """Opens the index at a URL, or else the one named by the environment."""
    from lookalike.cli.settings import Settings
    from lookalike.engines import require_lasting
    from lookalike.index import Index

    settings = Settings.from_environment()
    address = url or settings.index
    require_lasting(address)
    return Index.open(
        address,
        create=create,
        cache_dir=settings.cache_dir,
        hub=settings.hub,
        server=_server_options(server),
        wait=_wait(),
        **{name: value for name, value in options.items() if value is not None},
    )


@contextmanager
def no_empty_index(
    url: str | None, server: dict[str, str] | None = None, *, shared: bool = False
) -> Iterator[None]:
    """Removes an index again if it was made here, the work failed, and it is empty.

    Other files in its folder stay, and so does a collection that others have begun to fill.

    Args:
        url: its address; by default that of the environment.
        server: options of a server.
        shared: whether other processes fill the index, too, so that it stays.
    """
    from lookalike.cli.settings import Settings
    from lookalike.engines import is_server

    address = url or Settings.from_environment().index
    if shared:
        yield
        return
    removal = _collection_removed if is_server(address) else _folder_removed
    with removal(address, server):
        yield


@contextmanager
def _folder_removed(address: str, server: dict[str, str] | None) -> Iterator[None]:
    from lookalike.engines import open_engine

    folder = Path(address)
    before = None if not folder.is_dir() else {path.name for path in folder.iterdir()}
    try:
        yield
    except LookalikeError:
        if "manifest.json" in (before or ()):
            raise
        with suppress(LookalikeError):  # another process has it open
            with closing(open_engine(address)) as engine:
                empty = engine.read_manifest() is not None and engine.count() == 0
            if empty:
                _remove_made(folder, before)
        raise


@contextmanager
def _collection_removed(address: str, server: dict[str, str] | None) -> Iterator[None]:
    from lookalike.engines import open_engine

    with closing(open_engine(address, _server_options(server))) as engine:
        existed = engine.read_manifest() is not None
        try:
            yield
        except LookalikeError:
            with suppress(LookalikeError), patience.at_most(_CLEANUP):
                if not existed:
                    cast("ServerEngine", engine).drop_empty()
            raise


_CLEANUP = 3.0
"""Seconds that a run which failed waits for a server to remove what it made."""


def _server_options(server: dict[str, str] | None) -> ServerOptions:
    from lookalike.cli.settings import Settings
    from lookalike.engines.options import ServerOptions

    settings = Settings.from_environment()
    return ServerOptions.of({**settings.server, **(server or {})}, api_key=settings.api_key)


_FILES = ("manifest.json", "owner.json", "ledger-*", "shard*", "current", "thumbnails.sqlite*")
"""Files of an index."""


def _remove_made(folder: Path, before: set[str] | None) -> None:
    """Removes the files of an index that were not in its folder before, then an empty folder."""
    for pattern in _FILES:
        for path in folder.glob(pattern):
            if path.name in (before or ()):
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if before is None:
        with suppress(OSError):
            folder.rmdir()


@contextmanager
def open_named_engine(
    url: str | None, server: dict[str, str] | None = None, *, salvage: bool = False
) -> Iterator[NamedEngine]:
    """Opens only the engine at a URL, without the models of its index.

    Args:
        url: the index, or else the one named by the environment.
        server: options of a server.
        salvage: opens a damaged index, too, for reading what is left.
    """
    from lookalike.admin.copy import NamedEngine
    from lookalike.cli.settings import Settings
    from lookalike.engines import open_engine

    settings = Settings.from_environment()
    name = url or settings.index
    options = _server_options(server)
    with closing(open_engine(name, options, wait=_wait(), salvage=salvage)) as engine:
        yield NamedEngine(name, engine, salvage)


def _wait() -> float:
    """Seconds to wait for an index: the command's `--wait`."""
    seconds: float = click.get_current_context().meta.get(WAIT, 0)
    return seconds


def existing_folder(root: str) -> Path:
    """The folder that an option --root names."""
    folder = Path(root).expanduser().resolve()
    if not folder.is_dir():
        raise InputError(f"There is no folder {root}; name an existing one with --root.")
    return folder


def readable(file: str) -> AbstractContextManager[TextIO]:
    """Opens a text file for reading; - is standard input. Bytes that are not UTF-8 are escaped."""
    if file == "-":
        standard_input = cast(TextIOWrapper, sys.stdin)
        standard_input.reconfigure(encoding="utf-8-sig", errors="surrogateescape")
        return nullcontext(standard_input)
    try:
        return Path(file).open(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): name another file.") from None


def writable(file: str | None) -> Any:
    """Opens a file for writing, so that a bad path fails before the work and not after it."""
    if file is None:
        return nullcontext()
    try:
        return Path(file).open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): name another file."
        ) from None


def ray_executor(address: str, url: str | None, threads: int | None = None) -> RayExecutor:
    """The executor for `--ray`. Refuses a folder, before an index is created in it."""
    from lookalike.cli.settings import Settings
    from lookalike.engines import is_server
    from lookalike.ray import RayExecutor

    name = url or Settings.from_environment().index
    if not is_server(name):
        raise InputError(
            f"Ray cannot work on an index in a folder ({name}), which only one process may have "
            "open: give --index the address of an index on a server, such as http://host:6333/name."
        )
    return RayExecutor(address, cores=threads or 1)
