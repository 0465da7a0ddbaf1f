"""Sources: places that images come from. Each module here serves one scheme of addresses."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import entry_points
from typing import TypeAlias

from lookalike.errors import InputError, QueryError, SourceError
from lookalike.protocols import Source
from lookalike.system.inputs import ImageInput, is_url, plain_image
from lookalike.system.text import with_article
from lookalike.types import ImageRef

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://")

SourceInput: TypeAlias = str | os.PathLike[str] | Iterable[str | os.PathLike[str]]
"""A folder, a file or a glob; or many of them."""

Fetch: TypeAlias = Callable[[str], bytes]
"""Reads the file at a URL."""


def open_source(uri: str, exclude: Sequence[str] = ()) -> Source:
    """Opens the source for a path, a glob, or an address such as `s3://bucket/prefix`.

    The scheme names a module of this package, whose `open` makes the source, or an entry point of
    the group `lookalike.sources`, which makes it. A path has the scheme `file`.

    Args:
        uri: the address.
        exclude: patterns of what to pass over, in the syntax of `.gitignore`.

    Raises:
        SourceError: nothing is there, no source serves the scheme, or a pattern is not valid.
    """
    match = _SCHEME.match(uri)
    scheme = match[1] if match else "file"
    source: Source
    if scheme in {one.name for one in pkgutil.iter_modules(__path__) if not one.ispkg}:
        source = importlib.import_module(f"{__name__}.{scheme}").open(uri, exclude)
        return source
    for entry in entry_points(group="lookalike.sources", name=scheme):
        if exclude:
            raise SourceError(f"{uri}: only local files can be excluded; leave out the patterns.")
        source = entry.load()(uri)
        return source
    raise SourceError(
        f"{uri}: there is no source for {scheme}:// addresses; give a folder, a file or a glob."
    )


def open_sources(uris: Sequence[SourceInput], exclude: Sequence[str] = ()) -> list[Source]:
    """Opens several sources; see `open_source`.

    Raises:
        SourceError: one does not exist, all of them are empty, or a pattern is not valid.
        InputError: one is neither a path nor several paths.
    """
    sources = [
        open_source(os.fspath(uri), exclude)
        if isinstance(uri, str | os.PathLike)
        else open_paths(uri, exclude)
        for uri in uris
    ]
    if not any(next(source.refs(), None) for source in sources):
        names = ", ".join(
            os.fspath(uri) if isinstance(uri, str | os.PathLike) else f"the {type(uri).__name__}"
            for uri in uris
        )
        raise SourceError(f"There is nothing to index in {names}: give a folder, a file or a glob.")
    return sources


def open_paths(paths: Iterable[str | os.PathLike[str]], exclude: Sequence[str] = ()) -> Source:
    """Opens one source for many local paths.

    Raises:
        InputError: they are something else than paths.
        SourceError: a pattern is not valid.
    """
    from lookalike.sources.file import Paths

    if hasattr(paths, "columns") or isinstance(paths, Mapping | bytes):
        raise InputError(
            f"{with_article(type(paths).__name__).capitalize()} is not a list of paths: give it to "
            "`put`."
        )
    return Paths(map(_path, paths), exclude)


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
