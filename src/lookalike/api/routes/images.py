"""Reading, adding, changing, and removing images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Annotated, Any

from fastapi import File, Form, Query, Request, UploadFile

from lookalike.api import requests
from lookalike.api.auth import api_router
from lookalike.api.problems import problem_or
from lookalike.api.responses import JPEG, Document, jpeg
from lookalike.api.schemas import (
    DeletedResponse,
    Fields,
    Id,
    Ids,
    ImageResponse,
    ImagesResponse,
    IngestResponse,
    Item,
    ParamsText,
    PutResponse,
    Side,
    Text,
    Where,
)
from lookalike.api.service import Service, Serving
from lookalike.errors import ImageRejected, InputError, NotFound, Reason
from lookalike.ingest.report import IngestReport
from lookalike.ingest.uploads import Upload
from lookalike.output import documents
from lookalike.protocols import missing_image
from lookalike.record import record_of

FILE_SIDE = 2048
"""Longer side in pixels of an image that is served as a file."""
MAX_LISTED = 1_000
"""Images that one page has, and that `offset` reaches."""
ALL_REJECTED = problem_or(
    422, IngestResponse, "Every file was rejected, or the request is an InvalidRequest"
)

ImageId = Annotated[Id, Query(description="Id of an image, of any characters.")]

read_router = api_router("images")
write_router = api_router("images", write=True)
ROUTERS = [read_router, write_router]


@read_router.get("/images", response_model=ImagesResponse)
def images(
    service: Serving,
    where: Where | None = None,
    params: ParamsText | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_LISTED)] = 60,
    offset: Annotated[int, Query(ge=0, le=MAX_LISTED)] = 0,
    sort: Annotated[Text | None, Query(description="Field to sort by, or -field.")] = None,
    cursor: Annotated[Id | None, Query(description="The `cursor` of the page before.")] = None,
) -> Document:
    """Lists images that match a filter, by a field or in no meaningful order, page by page.

    A page holds the `cursor` of the next one. Images that are added or removed meanwhile neither
    repeat nor hide others.
    """
    if offset + limit > MAX_LISTED:
        raise InputError(
            f"offset reaches {MAX_LISTED:,} images; go through more of them with cursor."
        )
    named = requests.params(params)
    scrolled = service.index.scroll(where, params=named, sort=sort, after=cursor)
    found = islice(scrolled, offset, offset + limit + 1)
    listed = [documents.of_point(point) for point in found]
    more = listed[limit - 1]["id"] if len(listed) > limit else None
    total = service.index.count(where, named)
    return Document({"images": listed[:limit], "cursor": more, "total": total})


@read_router.get("/image", response_model=ImageResponse)
def image(service: Serving, id: ImageId, vectors: bool = False) -> Document:
    """Returns the payload of an image and, on request, its vectors."""
    return Document(documents.of_point(service.index.get(id, vectors=vectors), vectors=vectors))


@read_router.get("/image/thumbnail", response_class=JPEG)
def thumbnail(request: Request, service: Serving, id: ImageId, side: Side = 256) -> Any:
    """Returns an image, its longer side at most `side` pixels."""
    return _jpeg(request, service, id, side)


@read_router.get("/image/file", response_class=JPEG)
def file(request: Request, service: Serving, id: ImageId) -> Any:
    """Returns an image, its longer side at most 2,048 pixels."""
    return _jpeg(request, service, id, FILE_SIDE)


@write_router.post("/images", response_model=IngestResponse, responses=ALL_REJECTED)
def add(
    service: Serving,
    files: Annotated[list[UploadFile], File(description="One or more images.")],
    items: Annotated[
        str | None, Form(description="JSON: a list of {id, fields}, one per file.")
    ] = None,
) -> Document:
    """Adds images, or replaces those with the same ids. The next search finds them."""
    parsed = [Item()] * len(files)
    if items is not None:
        parsed = requests.parse_json(list[Item], items, "items")
    if len(parsed) != len(files):
        raise InputError(
            f"There are {len(files)} files and {len(parsed)} items; send one item per file."
        )
    report, uploads = _put(service, files, parsed)
    names = [file.filename or "file" for file in files]
    return Document(*_added(report, uploads, names))


@write_router.put("/image", response_model=PutResponse)
def put(
    service: Serving,
    id: ImageId,
    image: Annotated[UploadFile, File()],
    fields: Annotated[str | None, Form(description="JSON: field values by name.")] = None,
) -> Document:
    """Adds one image under an id, or replaces it."""
    values = None if fields is None else requests.parse_json(dict[str, Any], fields, "fields")
    report, _ = _put(service, [image], [Item(id=id, fields=values)])
    for reject in report.rejects:
        raise ImageRejected(Reason(reject.reason), reject.detail)
    return Document({"id": id, "added": report.added == 1})


@write_router.patch("/image", response_model=ImageResponse)
def update(service: Serving, id: ImageId, fields: Fields) -> Document:
    """Sets fields of one image."""
    requests.require_finite(fields.fields)
    with service.writing():
        service.index.get(id)
        service.index.learn_fields([fields.fields], service.write_lock.give_way)
        service.index.update(id, fields.fields)
        return Document(documents.of_point(service.index.get(id)))


@write_router.delete("/image", response_model=DeletedResponse)
def delete(service: Serving, id: ImageId) -> Document:
    """Removes one image from the index."""
    if not (deleted := _delete(service, [id])):
        raise NotFound(missing_image(id))
    return Document({"deleted": deleted})


@write_router.post("/images/delete", response_model=DeletedResponse)
def delete_many(service: Serving, ids: Ids) -> Document:
    """Removes images from the index; unknown ids are ignored."""
    return Document({"deleted": _delete(service, ids.ids)})


def _put(
    service: Service, files: Sequence[UploadFile], items: Sequence[Item]
) -> tuple[IngestReport, list[Upload]]:
    """Stores files and adds them to the index; files that it does not need are removed again."""
    for item in items:
        requests.require_finite(item.fields)
    contents = requests.read_files(files)
    records = [item.fields for item in items if item.fields]
    with service.writing():
        # Others may write between new fields, and remove a file that no image has yet, so the
        # files are stored after that.
        service.index.learn_fields(records, service.write_lock.give_way)
        uploads = [
            Upload(data, service.uploads.put(data), item.id, item.fields)
            for data, item in zip(contents, items, strict=True)
        ]
        uploads = [replace(upload, id=upload.id or upload.sha256) for upload in uploads]
        replaced = _uris(service, [upload.id for upload in uploads if upload.id])
        try:
            report = service.index.put(uploads)
            for upload in uploads:
                service.uploads.restore(upload.uri, upload.data)
        finally:
            added = [upload.uri for upload in uploads]
            service.uploads.release([*replaced, *added], service.index)
    for reject in report.rejects:
        service.metrics.rejects.labels(reject.reason).inc()
    service.jobs.count_uploads(report.added + report.updated)
    return report, uploads


def _delete(service: Service, ids: Sequence[str]) -> int:
    with service.writing():
        uris = _uris(service, ids)
        deleted = service.index.delete(ids)
        service.uploads.release(uris, service.index)
    return deleted


def _uris(service: Service, ids: Sequence[str]) -> list[str]:
    """Returns the URIs of those images that are in the index."""
    return [record_of(point.payload)["uri"] for point in service.index.get_many(ids)]


def _jpeg(request: Request, service: Service, id: str, side: int) -> Any:
    record = record_of(service.index.get(id).payload)
    original = service.may_read(record["uri"])
    try:
        return jpeg(
            request,
            f"{record['sha256']}-{side}",
            lambda: service.index.thumbnail(id, side, original=original),
        )
    except NotFound:
        service.require_readable(record["uri"])
        raise
    except InputError:
        raise NotFound(f"The file of the image {id!r} is missing or no longer readable.") from None


def _added(
    report: IngestReport, uploads: Sequence[Upload], names: Sequence[str]
) -> tuple[dict[str, Any], int]:
    """Returns the report under the client's names of the files, and the status."""
    causes = {reject.uri: reject for reject in report.rejects}
    verdicts = {copy.of: copy.verdict for copy in report.copies}
    ids: list[str | None] = []
    rejects, copies = [], []
    for upload, name in zip(uploads, names, strict=True):
        reject = causes.get(upload.uri)
        id = upload.id or upload.sha256
        if reject is not None:
            rejects.append({"uri": name, "reason": reject.reason, "detail": reject.detail})
        elif id in ids:
            copies.append({"uri": name, "of": id, "verdict": verdicts[id]})
        ids.append(None if reject else id)
    by_uri = {upload.uri: name for upload, name in zip(uploads, names, strict=True)}
    notes = [{"uri": by_uri[note.uri], "detail": note.detail} for note in report.notes]
    lists = {"rejects": rejects, "copies": copies, "notes": notes, "ids": ids}
    document = documents.of_report(report) | lists
    return document, 200 if any(ids) else 422
