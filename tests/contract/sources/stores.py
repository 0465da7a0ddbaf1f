"""The sample of an object store, whichever it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from obstore.store import AzureStore, GCSStore, S3Store

from lookalike.protocols import Source
from lookalike.sources import open_source

FORMS = ("{}/place/", "{}/place", "{}/place/**/*.jpg", "{}/place/b/*")
BUCKET = "contract"


class StoreSample(AbstractContextManager["StoreSample"]):
    """A bucket, in a server that a subclass starts.

    Attributes:
        scheme: scheme of its addresses.
    """

    scheme: str
    environment: Mapping[str, str] = {}

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers = ExitStack()
        self._address = f"{self.scheme}://{BUCKET}"
        others = ("placed/a.jpg", "a.jpg", "elsewhere/place/a.jpg")
        self.elsewhere = [f"{self._address}/{key}" for key in others]
        self.elsewhere += [f"{self._address}s/place/a.jpg", "/place/a.jpg"]

    def __enter__(self) -> Self:
        self._store = self._servers.enter_context(self._started())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._servers.close()

    def fill(self, files: Mapping[str, bytes]) -> None:
        present = [one["path"] for page in self._store.list() for one in page]
        if present:
            self._store.delete(present)
        for name, data in files.items():
            self._put(f"place/{name}", data)

    def open(self, form: str) -> Source:
        return open_source(form.format(self._address))

    def _put(self, key: str, data: bytes) -> None:
        self._store.put(key, data)

    @abstractmethod
    def _started(self) -> AbstractContextManager[S3Store | GCSStore | AzureStore]:
        """Starts the server; the bucket is there."""


Stores = Iterator[S3Store | GCSStore | AzureStore]
