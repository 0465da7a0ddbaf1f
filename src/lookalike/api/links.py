"""Links of the OpenAPI document: the requests that follow from a response.

They tell generated clients, and the tests, how to go on: from an upload to a search by it, from a
job to its state, from a page of images to the next.
"""

from __future__ import annotations

from typing import Any, NamedTuple

_Operation = tuple[str, str]
"""Method and path."""


class _Link(NamedTuple):
    """A request that follows from a response.

    Attributes:
        source: the operation that was answered.
        value: where its response has the value to go on with.
        name: the parameter, or the field of the JSON body, that takes it.
        targets: the operations that follow.
    """

    source: _Operation
    value: str
    name: str
    targets: tuple[_Operation, ...]


_IMAGE = tuple(
    (method, path)
    for path in ("/v1/image", "/v1/image/thumbnail", "/v1/image/file")
    for method in ("get", "patch", "delete")
)
_SEARCHES = (("post", "/v1/search"),)
_LINKS = (
    _Link(("post", "/v1/images"), "/ids/0", "id", (*_IMAGE, *_SEARCHES)),
    _Link(("put", "/v1/image"), "/id", "id", (*_IMAGE, *_SEARCHES)),
    _Link(("get", "/v1/images"), "/images/0/id", "id", (*_IMAGE, *_SEARCHES)),
    _Link(("get", "/v1/images"), "/cursor", "cursor", (("get", "/v1/images"),)),
    _Link(("post", "/v1/search"), "/hits/0/id", "id", (*_IMAGE, *_SEARCHES)),
    _Link(
        ("post", "/v1/uploads"), "/upload", "upload", (*_SEARCHES, ("get", "/v1/uploads/thumbnail"))
    ),
    _Link(
        ("post", "/v1/jobs"), "/job", "job", (("get", "/v1/jobs/one"), ("delete", "/v1/jobs/one"))
    ),
)


def add_links(paths: dict[str, Any]) -> None:
    """Adds the links to the paths of an OpenAPI document."""
    for link in _LINKS:
        method, path = link.source
        responses = paths[path][method]["responses"]
        (success,) = (status for status in responses if status.startswith("2"))
        links = responses[success].setdefault("links", {})
        for target_method, target_path in link.targets:
            target = paths[target_path].get(target_method)
            if target is not None:
                links[target["operationId"]] = _link(link, target)


def _link(link: _Link, target: dict[str, Any]) -> dict[str, Any]:
    value = f"$response.body#{link.value}"
    names = {parameter["name"] for parameter in target.get("parameters", ())}
    given = {"parameters": {link.name: value}} if link.name in names else {}
    return {
        "operationId": target["operationId"],
        **(given or {"requestBody": {link.name: value}}),
    }
