"""The index as tools of agents, over the Model Context Protocol (https://modelcontextprotocol.io).

An agent reads names, descriptions and parameters of the tools; so these texts are its manual. Every
answer is one JSON document, followed by thumbnails where they help.
"""

from __future__ import annotations

import base64
import functools
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Annotated, Any

from mcp.server import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult, ContentBlock, ImageContent, TextContent, ToolAnnotations
from pydantic import Field

import lookalike
from lookalike.api.allowed_folders import AllowedFolders
from lookalike.api.errors import ServiceError
from lookalike.errors import InputError, LookalikeError
from lookalike.index import Index
from lookalike.output import documents
from lookalike.record import KEY, record_of
from lookalike.search.hits import Hit, Hits
from lookalike.types import Decision, Payload

SIDE = 256
"""Longer side of a thumbnail beside a hit, in pixels."""
LARGE_SIDE = 768
MOST_HITS = 50
MOST_GROUPS = 50
_VALUES = 12
"""Values of a field that `describe` names."""

INSTRUCTIONS = """\
Searches a collection of images by likeness. Call `describe` first: it tells the fields that filters
may use, the aspects that can be weighed, and whether words can be searched for. A filter reads like
price < 100 and category in ("dress", "skirt") and not in_stock = false."""

Where = Annotated[str | None, Field(description='Filter, such as price < 100 and brand = "Acme".')]
Limit = Annotated[int, Field(description="Number of results.", ge=1, le=MOST_HITS)]
Thumbnails = Annotated[
    int, Field(description="Results whose pictures are returned, too.", ge=0, le=MOST_HITS)
]


def mcp_server(index: Index, folders: AllowedFolders, *, allow_writes: bool = False) -> MCPServer:
    """Makes the server.

    Args:
        index: the index, which stays the caller's.
        folders: folders whose pictures agents may search by and, with `allow_writes`, add.
        allow_writes: whether to offer the tools that change the index.
    """
    server = MCPServer(
        "lookalike",
        instructions=INSTRUCTIONS,
        version=lookalike.__version__,
        log_level="ERROR",
    )
    tools = _Tools(index, folders)
    reading: list[Callable[..., CallToolResult]] = [
        *(tools.describe, tools.search, tools.similar, tools.show, tools.facets, tools.duplicates)
    ]
    for tool in reading:
        server.add_tool(_told(tool), annotations=ToolAnnotations(read_only_hint=True))
    if allow_writes:
        for tool in (tools.add, tools.update, tools.decide):
            hints = ToolAnnotations(read_only_hint=False, destructive_hint=False)
            server.add_tool(_told(tool), annotations=hints)
        hints = ToolAnnotations(read_only_hint=False, destructive_hint=True)
        server.add_tool(_told(tools.remove), annotations=hints)
    return server


def _told(tool: Callable[..., CallToolResult]) -> Callable[..., CallToolResult]:
    """The tool, whose expected errors reach the agent as sentences."""

    @functools.wraps(tool)
    def call(**arguments: Any) -> CallToolResult:
        try:
            return tool(**arguments)
        except LookalikeError as error:
            raise ToolError(str(error)) from None
        except ServiceError as error:
            raise ToolError(str(error.detail)) from None

    return call


class _Tools:
    """The tools. Their docstrings and parameters are what agents read."""

    def __init__(self, index: Index, folders: AllowedFolders) -> None:
        self._index = index
        self._folders = folders
        self._writing = threading.Lock()

    # --- reading ----------------------------------------------------------------------------

    def describe(self) -> CallToolResult:
        """Describes the collection: number of images, fields for filters with their frequent
        values, aspects and presets for weights, and whether words can be searched for."""
        index = self._index
        stats = index.stats()
        fields = {
            name: {
                "type": field["type"],
                **(
                    {"values": dict(index.facets(name, limit=_VALUES))}
                    if field["values"] is not None
                    else {}
                ),
            }
            for name, field in stats["fields"].items()
        }
        document = {
            "images": stats["images"],
            "fields": fields,
            "own_fields": [name for name in index.fields if name not in fields],
            "aspects": list(index.aspects),
            "presets": list(index.presets),
            "model": next(
                one["model"] for one in stats["vectors"].values() if one["aspect"] == "semantic"
            ),
            "text": self._text(),
        }
        return _answer(document)

    def _text(self) -> str:
        """The texts that `search` takes, in words."""
        if not self._index.supports_text:
            return "none: this model knows no words"
        known = len(self._index.words())
        return f"{known:,} words; another one is an error that names near ones" if known else "any"

    def search(
        self,
        image: Annotated[
            str | None, Field(description="Path of a picture in a folder that may be read.")
        ] = None,
        id: Annotated[str | None, Field(description="Id of an image of the collection.")] = None,
        text: Annotated[str | None, Field(description="Words for what images should show.")] = None,
        negative_text: Annotated[str | None, Field(description="What they should not.")] = None,
        color: Annotated[
            list[str] | None,
            Field(description='Colors that they should have: "navy", "#ffcc00".'),
        ] = None,
        like: Annotated[list[str] | None, Field(description="Ids of good examples.")] = None,
        unlike: Annotated[list[str] | None, Field(description="Ids of bad examples.")] = None,
        where: Where = None,
        weights: Annotated[
            dict[str, float] | str | None,
            Field(description='Weights by aspect, {"semantic": 0.7, "color": 0.3}, or a preset.'),
        ] = None,
        sort: Annotated[
            str | None, Field(description='Field of numbers or dates: "price", or "-price".')
        ] = None,
        collapse: Annotated[
            str | None, Field(description="Field of which each value is shown once.")
        ] = None,
        limit: Limit = 10,
        offset: Annotated[int, Field(description="Best results to skip.", ge=0)] = 0,
        thumbnails: Thumbnails = 5,
    ) -> CallToolResult:
        """Finds the images nearest to a picture, an image of the collection, words, colors, or
        examples, or to any mix of them, under a filter; the best first. With only `sort`, or `sort`
        and `where`, it lists images."""
        given = {
            "image": None if image is None else self._folders.resolve(image),
            "id": id,
            "text": text,
            "negative_text": negative_text,
            "color": color,
            "where": where,
            "weights": weights,
            "sort": sort,
            "collapse": collapse,
        }
        options: dict[str, Any] = {name: one for name, one in given.items() if one is not None}
        options |= {"limit": limit, "offset": offset}
        if like or unlike:
            hits = self._index.recommend(like or [], unlike or [], files=False, **options)
        else:
            hits = self._index.search(**options)
        return self._hits(hits, thumbnails)

    def similar(
        self,
        id: Annotated[str, Field(description="Id of an image of the collection.")],
        where: Where = None,
        limit: Limit = 10,
        thumbnails: Thumbnails = 5,
    ) -> CallToolResult:
        """Finds the images most similar to one of the collection."""
        options: dict[str, Any] = {} if where is None else {"where": where}
        return self._hits(self._index.search(id=id, limit=limit, **options), thumbnails)

    def show(
        self, id: Annotated[str, Field(description="Id of an image of the collection.")]
    ) -> CallToolResult:
        """Shows everything known about one image, and its picture."""
        point = self._index.get(id)
        return _answer(documents.of_point(point), self._pictures([id], LARGE_SIDE))

    def facets(
        self,
        field: Annotated[str, Field(description="Name of a field; see `describe`.")],
        where: Where = None,
        limit: Annotated[int, Field(description="Number of values.", ge=1, le=1000)] = 50,
    ) -> CallToolResult:
        """Counts the values of a field among the images that pass a filter, most frequent first."""
        options: dict[str, Any] = {} if where is None else {"where": where}
        values = self._index.facets(field, limit=limit, **options)
        return _answer(documents.of_facets(field, values))

    def duplicates(
        self,
        id: Annotated[
            str | None, Field(description="Image to find copies of; without it, all groups.")
        ] = None,
        where: Where = None,
        limit: Annotated[int, Field(description="Number of groups.", ge=1, le=MOST_GROUPS)] = 10,
        thumbnails: Thumbnails = 0,
    ) -> CallToolResult:
        """Finds edited and exact copies: those of one image, or groups in the whole collection,
        each with the image worth keeping first. Changes nothing. Groups may take minutes."""
        if id is not None:
            copies = self._index.duplicates_of(id=id)
            document = {"copies": [documents.of_duplicate(copy) for copy in copies]}
            return _answer(
                document, self._pictures((copy.id for copy in copies[:thumbnails]), SIDE)
            )
        options: dict[str, Any] = {} if where is None else {"where": where}
        groups = list(islice(self._index.duplicates(**options), limit))
        shown = islice((member.id for group in groups for member in group.members), thumbnails)
        document = {"groups": [documents.of_group(group) for group in groups]}
        return _answer(document, self._pictures(shown, SIDE))

    # --- changing ---------------------------------------------------------------------------

    def add(
        self,
        path: Annotated[str, Field(description="Folder or file, in a folder that may be read.")],
    ) -> CallToolResult:
        """Adds the images of a folder or a file to the collection, and updates changed ones."""
        with self._writing:
            return _answer(documents.of_report(self._index.add(self._folders.resolve(path))))

    def update(
        self,
        id: Annotated[str, Field(description="Id of an image of the collection.")],
        fields: Annotated[
            dict[str, Any], Field(description="Values by field; null clears a field.")
        ],
    ) -> CallToolResult:
        """Sets fields of one image."""
        with self._writing:
            self._index.update(id, fields)
        return self.show(id)

    def decide(
        self,
        ids: Annotated[list[str], Field(description="Images that look like copies.")],
        decision: Decision | None,
    ) -> CallToolResult:
        """Records that images are not copies of each other, or are all to be kept; null forgets
        it."""
        with self._writing:
            self._index.decide(ids, decision)
        return _answer({"ids": ids, "decision": decision})

    def remove(
        self, ids: Annotated[list[str], Field(description="Ids of the collection.", min_length=1)]
    ) -> CallToolResult:
        """Removes images from the collection. Their files stay."""
        with self._writing:
            return _answer({"removed": self._index.delete(ids)})

    # --- answers ----------------------------------------------------------------------------

    def _hits(self, hits: Hits, thumbnails: int) -> CallToolResult:
        document = {
            "hits": [_hit(hit) for hit in hits],
            "complete": hits.complete,
            "reason": hits.explanation.reason,
        }
        return _answer(document, self._pictures((hit.id for hit in hits[:thumbnails]), SIDE))

    def _pictures(self, ids: Iterable[str], side: int) -> Iterator[tuple[str, bytes]]:
        """The pictures that can be had, by id."""
        for id in ids:
            with suppress(InputError):  # its file is gone
                yield id, self._index.thumbnail(id, side)


def _hit(hit: Hit) -> dict[str, Any]:
    own = record_of(hit.payload)
    return {
        "id": hit.id,
        "score": round(hit.score, 4),
        "shares": {aspect: round(share, 3) for aspect, share in hit.shares.items()},
        "fields": _fields(hit.payload),
        "uri": own["uri"],
        "width": own["width"],
        "height": own["height"],
        **({"others": hit.others} if hit.others else {}),
    }


def _fields(payload: Payload) -> dict[str, Any]:
    """The user's own fields."""
    return {name: value for name, value in payload.items() if name != KEY}


def _answer(document: dict[str, Any], pictures: Iterable[tuple[str, bytes]] = ()) -> CallToolResult:
    """A document, and pictures that are each named by their id."""
    content: list[ContentBlock] = [
        TextContent(type="text", text=json.dumps(document, ensure_ascii=False))
    ]
    for id, jpeg in pictures:
        data = base64.b64encode(jpeg).decode("ascii")
        content.append(TextContent(type="text", text=id))
        content.append(ImageContent(type="image", data=data, mime_type="image/jpeg"))
    return CallToolResult(content=content, structured_content=document)
