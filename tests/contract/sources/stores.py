"""The sample of an object store, whichever it is."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TypeAlias

from obstore.store import AzureStore, GCSStore, S3Store

from lookalike.protocols import Source
from lookalike.sources import open_source
from tests.contract.sources import SourceSample

FORMS = ("{}/place/", "{}/place", "{}/place/**/*.jpg", "{}/place/b/*")
BUCKET = "contract"

Store: TypeAlias = S3Store | GCSStore | AzureStore
Stores: TypeAlias = Iterator[Store]


class StoreSample(SourceSample):
    """A bucket, in a server that a subclass starts.

    Attributes:
        scheme: scheme of its addresses.
    """

    scheme: str

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._address = f"{self.scheme}://{BUCKET}"
        others = ("placed/a.jpg", "a.jpg", "elsewhere/place/a.jpg")
        self.elsewhere = [f"{self._address}/{key}" for key in others]
        self.elsewhere += [f"{self._address}s/place/a.jpg", "/place/a.jpg"]

    def start(self) -> None:
        self._store = self.enter_context(self._started())

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
    def _started(self) -> AbstractContextManager[Store]:
        """Starts the server; the bucket is there."""
