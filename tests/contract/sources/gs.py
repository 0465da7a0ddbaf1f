"""A bucket of Google Cloud Storage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import httpx
from obstore.store import GCSStore

from tests.contract.sources.stores import BUCKET, FORMS, Stores, StoreSample
from tests.support.object_stores import google, google_key

__all__ = ["FORMS", "SLOW", "Sample"]

SLOW = True


class Sample(StoreSample):
    scheme = "gs"

    @contextmanager
    def _started(self) -> Stores:
        with google(self.folder / "google", {f"{BUCKET}/first.jpg": b"x"}) as endpoint:
            key = str(google_key(self.folder, endpoint))
            names = {"GOOGLE_BASE_URL": endpoint, "GOOGLE_APPLICATION_CREDENTIALS": key}
            self.environment = names
            config: Any = {"base_url": endpoint, "application_credentials": key}
            yield GCSStore(BUCKET, config=config, client_options={"allow_http": True})

    def _put(self, key: str, data: bytes) -> None:
        # The server does not know the request by which obstore writes.
        address = f"{self.environment['GOOGLE_BASE_URL']}/upload/storage/v1/b/{BUCKET}/o"
        named = {"uploadType": "media", "name": key}
        httpx.post(address, params=named, content=data).raise_for_status()
