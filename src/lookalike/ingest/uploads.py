"""Images whose bytes the caller has."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lookalike.errors import InputError
from lookalike.ingest.listing import ListedImage
from lookalike.ingest.report import IncomingCopy, IngestReport
from lookalike.system.inputs import Id, ImageInput, id_of, plain_image
from lookalike.types import ImageRef


@dataclass(frozen=True, slots=True)
class Upload:
    """An image to put into an index.

    Attributes:
        data: the file's bytes. An open file, a Pillow image or an array of pixels is taken, too.
        uri: where the caller keeps the file: duplicates, thumbnails and later runs read it there.
            Without it, they have its thumbnail alone.
        id: id of the image; by default its SHA-256.
        fields: the user's fields to set; None clears one, and the image's others stay.
        vector: vectors by aspect that were made elsewhere by the index's own model, in place of
            those that it would make; one alone is of the aspect semantic.
    """

    data: bytes
    uri: str = ""
    id: str | None = None
    fields: Mapping[str, Any] | None = None
    vector: Mapping[str, Any] | None = None

    def __init__(
        self,
        data: ImageInput,
        uri: str = "",
        id: Id | None = None,
        fields: Mapping[str, Any] | None = None,
        vector: Any = None,
    ) -> None:
        image = plain_image(data)
        if not isinstance(image, bytes):
            raise InputError(
                f"{image} is a path: to add files, use `add`, or give the bytes of the file."
            )
        object.__setattr__(self, "data", image)
        object.__setattr__(self, "uri", uri or f"memory://{hashlib.sha256(image).hexdigest()}")
        object.__setattr__(self, "id", None if id is None else id_of(id))
        object.__setattr__(self, "fields", fields)
        vectors = vector if vector is None or isinstance(vector, Mapping) else {"semantic": vector}
        object.__setattr__(self, "vector", vectors)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


class UploadSource:
    """A source with one image, an upload. See `protocols.Source`."""

    root = ""
    readers = 1
    passed_over = False
    incomplete = False

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


class CopyFilter:
    """Leaves out images whose id and content another one before them has."""

    def __init__(self) -> None:
        self.copies: list[IncomingCopy] = []
        self._first: dict[str, tuple[str, str, Mapping[str, Any]]] = {}

    def without_copies(self, images: Sequence[ListedImage]) -> list[ListedImage]:
        """The images without copies, which are added to `copies`.

        Raises:
            InputError: two images have the same id, but other contents or fields.
        """
        kept = []
        for image in images:
            (row,) = image.rows
            id = image.ref.uri if row.id is None else row.id
            if id not in self._first:
                self._first[id] = image.ref.uri, image.ref.etag, row.fields
                kept.append(image)
                continue
            uri, etag, fields = self._first[id]
            if (etag, fields) != (image.ref.etag, row.fields):
                raise InputError(
                    f"Two images have the id {id!r} and other contents or fields: give each an id "
                    "of its own."
                )
            self.copies.append(IncomingCopy(uri, id, "identical"))
        return kept


def with_copies(report: IngestReport, copies: Sequence[IncomingCopy]) -> IngestReport:
    """The report with copies that were left out; those of rejected images are rejected as well."""
    causes = {reject.uri: reject for reject in report.rejects}
    rejects = [causes[copy.uri] for copy in copies if copy.uri in causes]
    left_out = [copy for copy in copies if copy.uri not in causes]
    return replace(
        report,
        rejected=report.rejected + len(rejects),
        rejects=(*report.rejects, *rejects),
        skipped=report.skipped + len(left_out),
        copies=(*report.copies, *left_out),
    )
