"""Images whose bytes the caller has."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.errors import InputError
from lookalike.ingest.listing import ListedImage
from lookalike.metadata.table import Row
from lookalike.types import ImageRef


@dataclass(frozen=True, slots=True)
class Upload:
    """An image to put into an index.

    Attributes:
        data: the file's bytes.
        uri: where the caller keeps the file: duplicates, thumbnails and later runs read it there.
        id: id of the image; by default its SHA-256.
        fields: the user's fields to set; None clears one, and the image's others stay.
    """

    data: bytes
    uri: str
    id: str | None = None
    fields: Mapping[str, Any] | None = None

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class UploadSource:
    """A source with one image, an upload. See `protocols.Source`."""

    root = ""
    passed_over = False

    def __init__(self, upload: Upload) -> None:
        self._upload = upload
        self.ref = ImageRef(upload.uri, upload.sha256, len(upload.data))

    def refs(self) -> Iterator[ImageRef]:
        yield self.ref

    def read(self, ref: ImageRef) -> bytes:
        return self._upload.data

    def covers(self, uri: str) -> bool:
        return uri == self.ref.uri

    def excludes(self, uri: str) -> bool:
        return False

    def has(self, uri: str) -> bool:
        return uri == self.ref.uri

    def exists(self, uri: str) -> bool:
        return True

    def lost_folder(self, uri: str) -> str | None:
        return None


def list_uploads(uploads: Sequence[Upload]) -> list[ListedImage]:
    """Lists uploads, each with a row of its id and its fields as the caller gave them.

    Raises:
        InputError: two uploads have the same id.
    """
    rows = [
        Row(upload.id or upload.sha256, upload.fields or {}, complete=False) for upload in uploads
    ]
    for id, count in Counter(row.id for row in rows).items():
        if count > 1:
            raise InputError(f"Two images have the id {id!r}: put each image once.")
    sources = map(UploadSource, uploads)
    return [
        ListedImage(source, source.ref, [row]) for source, row in zip(sources, rows, strict=True)
    ]
