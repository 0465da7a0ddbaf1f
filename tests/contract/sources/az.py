"""A container of Azure Blob Storage."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

from obstore.store import AzureStore

from tests.contract.sources.stores import BUCKET, FORMS, Stores, StoreSample
from tests.support.azurite import ACCOUNT, KEY, azurite

__all__ = ["FORMS", "SLOW", "Sample"]

SLOW = True  # npm installs the server


class Sample(StoreSample):
    scheme = "az"

    @contextmanager
    def _started(self) -> Stores:
        with azurite(self.folder / "azurite", BUCKET) as endpoint:
            self.environment = {
                "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": KEY,
                "AZURE_STORAGE_ENDPOINT": endpoint,
            }
            config: Any = {"account_name": ACCOUNT, "account_key": KEY, "endpoint": endpoint}
            yield AzureStore(BUCKET, config=config, client_options={"allow_http": True})
