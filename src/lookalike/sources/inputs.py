"""Images that a caller passes as a path or as bytes."""

from __future__ import annotations

import os
from typing import TypeAlias

from lookalike.errors import QueryError
from lookalike.sources import open_source

ImageInput: TypeAlias = str | os.PathLike[str] | bytes
"""A query image: the path of a file, or a file's bytes."""


def read(image: ImageInput) -> bytes:
    """The bytes of a file.

    Raises:
        SourceError: there is no such file.
        QueryError: the path names more than one file.
        ImageRejected: it cannot be read.
    """
    if isinstance(image, bytes):
        return image
    path = os.fspath(image)
    source = open_source(path)
    refs = list(source.refs())
    if len(refs) != 1:
        raise QueryError(f"{path} is not one image: give a file.")
    return source.read(refs[0])
