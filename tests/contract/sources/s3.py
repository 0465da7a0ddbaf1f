"""A bucket of a store that speaks the protocol of S3."""

from __future__ import annotations

from contextlib import contextmanager

from tests.contract.sources.stores import BUCKET, FORMS, Stores, StoreSample
from tests.support.object_stores import CREDENTIALS, bucket_of, seaweed

__all__ = ["FORMS", "SLOW", "Sample"]

SLOW = False


class Sample(StoreSample):
    scheme = "s3"

    @contextmanager
    def _started(self) -> Stores:
        with seaweed(self.folder / "seaweed") as endpoint:
            self.environment = {**CREDENTIALS, "AWS_ENDPOINT_URL": endpoint}
            yield bucket_of(endpoint, BUCKET)
