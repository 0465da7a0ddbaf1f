"""Reading of the originals of indexed images, on disk, in object stores and on the web."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol, TypeAlias

from lookalike.errors import InputError, QueryError
from lookalike.protocols import ImageLoader
from lookalike.record import ImageRecord
from lookalike.system.inputs import is_url
from lookalike.types import ImageInput


class WebReader(Protocol):
    """Reads files on the web."""

    def read(self, uri: str) -> bytes:
        """Reads one.

        Raises:
            InputError: it cannot be read.
        """
        ...

    def close(self) -> None:
        """Closes its connections."""
        ...


OpenWeb: TypeAlias = Callable[[Sequence[str]], WebReader]
"""Opens a reader, for the public internet and for hosts of a private network. Raises InputError."""


@dataclass(frozen=True, slots=True)
class Originals:
    """Reads the originals of indexed images.

    Attributes:
        loader: reads files.
        web: reads those on the web; None leaves that to the loader, which may not be allowed to.
    """

    loader: ImageLoader
    web: WebReader | None = None

    def read(self, own: ImageRecord) -> bytes:
        """The file of an image.

        Raises:
            LookalikeError: it cannot be read, or is another one by now.
        """
        data = self.file(own["uri"])
        if sha256(data).hexdigest() != own["sha256"]:
            raise InputError(f"{own['uri']} has changed since it was indexed: index it again.")
        return data

    def file(self, image: ImageInput) -> bytes:
        """The file of any image.

        Raises:
            LookalikeError: it cannot be read.
        """
        url = image if isinstance(image, str) and is_url(image) else None
        if self.web is not None and url is not None:
            return self.web.read(url)
        try:
            return self.loader.read(image)
        except QueryError:
            if url is None:
                raise
            raise InputError(
                f"{url} is on the web: add --fetch to read it (in Python, fetch=True)."
            ) from None

    def close(self) -> None:
        """Closes the connections to the web."""
        if self.web is not None:
            self.web.close()
