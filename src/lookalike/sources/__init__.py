"""Sources: places that images come from. Each module here serves schemes of addresses."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib.metadata import entry_points
from types import ModuleType
from typing import TypeAlias

from lookalike.errors import InputError, QueryError, SourceError
from lookalike.protocols import Source
from lookalike.system.inputs import ImageInput, is_url, plain_image
from lookalike.system.text import with_article
from lookalike.types import ImageRef, SourceOptions

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://")

SourceInput: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A folder, a file, a glob or the address of a bucket; or many of them."""

_GROUP = "lookalike.sources"
"""Entry points of sources in other packages."""
_DEFAULTS = SourceOptions()

Fetch: TypeAlias = Callable[[str], bytes]
"""Reads the file at a URL."""


def open_source(uri: str, options: SourceOptions = _DEFAULTS) -> Source:
    """Opens the source for a path, a glob, or an address such as `s3://bucket/folder/`.

    Each module of this package names the schemes that it serves, and an entry point of the group
    `lookalike.sources` is named after one; its `open` makes the source. A path has the scheme
    `file`.

    Args:
        uri: the address.
        options: see `SourceOptions`.

    Raises:
        SourceError: nothing is there, no source serves the scheme, or a pattern is not valid.
    """
    match = _SCHEME.match(uri)
    scheme = match[1] if match else "file"
    if scheme == "file":
        _refuse_listing(uri, options)
    source: Source
    if scheme in (own := _own_schemes()):
        source = own[scheme].open(uri, options)
        return source
    for entry in entry_points(group=_GROUP, name=scheme):
        source = entry.load()(uri, options)
        return source
    raise SourceError(
        f"{uri}: there is no source for {scheme}:// addresses; give a folder, a file, a glob, or "
        f"an address that starts with {', '.join(f'{one}://' for one in schemes())}."
    )


def schemes() -> list[str]:
    """The schemes of all addresses that a source serves, those of installed packages included."""
    return [*_own_schemes(), *sorted(entry_points(group=_GROUP).names)]


def _refuse_listing(name: str, options: SourceOptions) -> None:
    if options.listing is not None:
        raise SourceError(
            f"{name} is not in a bucket, whose keys a listing names: give an address such as "
            "s3://bucket/folder/."
        )


@cache
def _own_schemes() -> dict[str, ModuleType]:
    """The modules of this package by the schemes that they serve."""
    names = [one.name for one in pkgutil.iter_modules(__path__) if not one.ispkg]
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names if name[0] != "_"]
    return {scheme: module for module in modules for scheme in module.SCHEMES}


def open_sources(uris: Sequence[SourceInput], options: SourceOptions = _DEFAULTS) -> list[Source]:
    """Opens several sources; see `open_source`.

    Raises:
        SourceError: one does not exist, all of them are empty, or a pattern is not valid.
        InputError: one is neither a path nor several paths.
    """
    sources = [
        open_source(os.fspath(uri), options)
        if isinstance(uri, str | os.PathLike)
        else open_paths(uri, options)
        for uri in uris
    ]
    if not any(next(source.refs(), None) for source in sources):
        names = ", ".join(
            os.fspath(uri) if isinstance(uri, str | os.PathLike) else f"the {type(uri).__name__}"
            for uri in uris
        )
        raise SourceError(f"There is nothing to index in {names}: give a folder, a file or a glob.")
    return sources


def open_paths(
    paths: Iterable[str | os.PathLike[str]], options: SourceOptions = _DEFAULTS
) -> Source:
    """Opens one source for many local paths.

    Raises:
        InputError: they are something else than paths.
        SourceError: a pattern is not valid.
    """
    from lookalike.sources.file import Paths

    _refuse_listing("A list of paths", options)
    if hasattr(paths, "columns") or isinstance(paths, Mapping | bytes):
        raise InputError(
            f"{with_article(type(paths).__name__).capitalize()} is not a list of paths: give it to "
            "`put`."
        )
    return Paths(map(_path, paths), options)


def open_file(path: str) -> tuple[Source, ImageRef]:
    """Opens the source of one local file, and refers to it; a file that is gone counts as one that
    cannot be read."""
    source = open_paths([path])
    return source, next(source.refs(), None) or ImageRef(os.path.abspath(path), "", 0)


def _path(value: object) -> str:
    if isinstance(value, str | os.PathLike):
        return os.fspath(value)
    raise InputError(
        f"A list of images to add holds paths (got {with_article(type(value).__name__)}): give "
        "images in memory, and rows of a table or a data set, to `put`."
    )


def read_image(image: ImageInput, fetch: Fetch | None = None) -> bytes:
    """Returns the bytes of an image of a caller's.

    Args:
        image: the image, in any form.
        fetch: reads a URL; None refuses them.

    Raises:
        SourceError: the file does not exist.
        QueryError: the path names more than one file, or it is a URL.
        InputError: it is nothing that an image can be made of, or the URL cannot be read.
        ImageRejected: the file cannot be read.
    """
    plain = plain_image(image)
    if isinstance(plain, bytes):
        return plain
    path = os.fspath(plain)
    if is_url(path):
        if fetch is None:
            raise QueryError(
                f"{path} is a URL, and this index reads none: open it with allow_url_fetch=True, "
                "or give the file."
            )
        return fetch(path)
    source = open_source(path)
    refs = list(source.refs())
    if len(refs) != 1:
        raise QueryError(f"{path} names {len(refs):,} images: give the path of one image.")
    return source.read(refs[0])
