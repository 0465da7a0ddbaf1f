"""The images of the index: looking at them, adding, changing and removing them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any

from fastapi import File, Form, Query, Request, UploadFile

from lookalike.api import requests
from lookalike.api.errors import either
from lookalike.api.middleware.auth import router
from lookalike.api.responses import JPEG, Document, jpeg
from lookalike.api.schemas import (
    DeletedAnswer,
    Fields,
    Id,
    Ids,
    ImageAnswer,
    ImagesAnswer,
    IngestAnswer,
    Item,
    PutAnswer,
    Side,
    Where,
)
from lookalike.api.service import Service, Serving
from lookalike.errors import ImageRejected, InputError, NotFound, Reason, SourceError
from lookalike.ingest.describe import Reject
from lookalike.ingest.report import IngestReport
from lookalike.output import documents
from lookalike.record import record_of
from lookalike.sources.uploads import Upload
from lookalike.types import Point

FILE_SIDE = 2048
"""Pixels of the longer side of an image that is served in full."""
MOST = 1_000
"""How far the list of images goes: `where` is for more."""
REFUSED = either(422, IngestAnswer, "Every file was rejected, or the request is Invalid")

Named = Annotated[Id, Query(description="An image's id, whatever characters it has.")]

reading = router("images")
writing = router("images", write=True)
ROUTERS = [reading, writing]


@reading.get("/images", response_model=ImagesAnswer)
def images(
    service: Serving,
    where: Where | None = None,
    limit: Annotated[int, Query(ge=1, le=MOST)] = 60,
    offset: Annotated[int, Query(ge=0, le=MOST)] = 0,
) -> Document:
    """Some images that pass, in no order that means anything."""
    if offset + limit > MOST:
        raise InputError(f"The list ends after {MOST:,} images: narrow it with where.")
    points = islice(service.index.scroll(where), offset, offset + limit)
    shown = [{"id": point.id, "payload": point.payload} for point in points]
    return Document({"images": shown, "total": service.index.count(where)})


@reading.get("/image", response_model=ImageAnswer)
def image(service: Serving, id: Named, vectors: bool = False) -> Document:
    """One image: its payload, and its vectors if asked for."""
    return Document(_of_point(service.index.get(id, vectors=vectors), vectors))


@reading.get("/image/thumbnail", response_class=JPEG)
def thumbnail(request: Request, service: Serving, id: Named, side: Side = 256) -> Any:
    """An image, its longer side at most `side` pixels."""
    return _picture(request, service, id, side)


@reading.get("/image/file", response_class=JPEG)
def file(request: Request, service: Serving, id: Named) -> Any:
    """An image, its longer side at most 2,048 pixels."""
    return _picture(request, service, id, FILE_SIDE)


@writing.post("/images", response_model=IngestAnswer, responses=REFUSED)
def add(
    service: Serving,
    files: Annotated[list[UploadFile], File(description="One image or many.")],
    items: Annotated[
        str | None, Form(description="JSON: a list of {id, fields}, one a file.")
    ] = None,
) -> Document:
    """Adds images, or replaces those of the same ids. The next search finds them."""
    known = [Item()] * len(files) if items is None else requests.parsed(list[Item], items, "items")
    if len(known) != len(files):
        raise InputError(f"There are {len(files)} files and {len(known)} items: give one a file.")
    report, uploads = _put(service, files, known)
    refused = {reject.uri for reject in report.rejects}
    names = {
        upload.uri: file.filename or "file" for upload, file in zip(uploads, files, strict=True)
    }
    document = documents.of_report(report) | {
        "rejects": [_renamed(reject, names) for reject in report.rejects],
        "ids": [None if upload.uri in refused else upload.id for upload in uploads],
    }
    return Document(document, 422 if len(refused) == len(set(names)) else 200)


@writing.put("/image", response_model=PutAnswer)
def put(
    service: Serving,
    id: Named,
    image: Annotated[UploadFile, File()],
    fields: Annotated[str | None, Form(description="JSON: values by name.")] = None,
) -> Document:
    """Adds one image under an id, or replaces it."""
    given = None if fields is None else requests.parsed(dict[str, Any], fields, "fields")
    report, _ = _put(service, [image], [Item(id=id, fields=given)])
    for reject in report.rejects:
        raise ImageRejected(Reason(reject.reason), reject.detail)
    return Document({"id": id, "added": report.added == 1})


@writing.patch("/image", response_model=ImageAnswer)
def update(service: Serving, id: Named, fields: Fields) -> Document:
    """Sets fields of one image."""
    with service.turns.turn():
        service.index.update(id, fields.fields)
        return Document(_of_point(service.index.get(id)))


@writing.delete("/image", response_model=DeletedAnswer)
def delete(service: Serving, id: Named) -> Document:
    """Removes one image from the index."""
    if not (deleted := _delete(service, [id])):
        raise NotFound(f"There is no image with the id {id!r} in this index.")
    return Document({"deleted": deleted})


@writing.post("/images/delete", response_model=DeletedAnswer)
def delete_many(service: Serving, ids: Ids) -> Document:
    """Removes images from the index; those that are not there are no error."""
    return Document({"deleted": _delete(service, ids.ids)})


def _put(
    service: Service, files: Sequence[UploadFile], items: Sequence[Item]
) -> tuple[IngestReport, list[Upload]]:
    """Stores files and adds them; what is not needed after all is removed again."""
    contents = requests.bytes_of(files)
    with service.turns.turn():
        uploads = [
            Upload(data, service.store.put(data), item.id, item.fields)
            for data, item in zip(contents, items, strict=True)
        ]
        uploads = [replace(one, id=one.id or one.sha256) for one in uploads]
        before = _uris(service, [one.id for one in uploads if one.id])
        try:
            report = service.index.put(uploads)
        finally:
            service.store.release([*before, *(one.uri for one in uploads)], service.index)
    for reject in report.rejects:
        service.metrics.rejects.labels(reject.reason).inc()
    service.jobs.added(report.added + report.updated)
    return report, uploads


def _delete(service: Service, ids: Sequence[str]) -> int:
    with service.turns.turn():
        uris = _uris(service, ids)
        deleted = service.index.delete(ids)
        service.store.release(uris, service.index)
    return deleted


def _uris(service: Service, ids: Sequence[str]) -> list[str]:
    """Where the files of those images are that are in the index."""
    return [record_of(point.payload)["uri"] for point in service.index.get_many(ids)]


def _picture(request: Request, service: Service, id: str, side: int) -> Any:
    sha256 = record_of(service.index.get(id).payload)["sha256"]
    try:
        return jpeg(request, f"{sha256}-{side}", lambda: service.index.thumbnail(id, side))
    except (SourceError, ImageRejected):
        raise NotFound(
            f"The file of the image {id!r} is gone, or cannot be read any more."
        ) from None


def _of_point(point: Point, vectors: bool = False) -> dict[str, Any]:
    document: dict[str, Any] = {"id": point.id, "payload": point.payload}
    if vectors:
        document["vectors"] = {name: one.tolist() for name, one in point.vectors.items()}
    return document


def _renamed(reject: Reject, names: dict[str, str]) -> dict[str, str]:
    """A reject under the name that the client gave the file."""
    return {"uri": names[reject.uri], "reason": reject.reason, "detail": reject.detail}
