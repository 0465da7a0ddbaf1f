"""Sources: places that images come from. Each module here serves one scheme of addresses."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
from collections.abc import Sequence
from importlib.metadata import entry_points

from lookalike.errors import QueryError, SourceError
from lookalike.protocols import Source
from lookalike.types import ImageInput

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]+)://")


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
    if scheme in {module.name for module in pkgutil.iter_modules(__path__)}:
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


def open_sources(
    uris: Sequence[str | os.PathLike[str]], exclude: Sequence[str] = ()
) -> list[Source]:
    """Opens several sources; see `open_source`.

    Raises:
        SourceError: one does not exist, all of them are empty, or a pattern is not valid.
    """
    sources = [open_source(os.fspath(uri), exclude) for uri in uris]
    if not any(next(source.refs(), None) for source in sources):
        names = ", ".join(os.fspath(uri) for uri in uris)
        raise SourceError(f"There is nothing to index in {names}: give a folder, a file or a glob.")
    return sources


def read_image(image: ImageInput) -> bytes:
    """Returns the bytes of an image that a caller names by path or passes as bytes.

    Raises:
        SourceError: the file does not exist.
        QueryError: the path names more than one file.
        ImageRejected: the file cannot be read.
    """
    if isinstance(image, bytes):
        return image
    path = os.fspath(image)
    source = open_source(path)
    refs = list(source.refs())
    if len(refs) != 1:
        raise QueryError(f"{path} names {len(refs):,} images: give the path of one image.")
    return source.read(refs[0])
