"""The MCP server, by the protocol's own client over standard input and output."""

from __future__ import annotations

import asyncio
import base64
import sys
from collections.abc import Awaitable, Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.stdio import StdioServerParameters, stdio_client
from mcp.types import CallToolResult, ImageContent, ListToolsResult, TextContent
from PIL import Image

from lookalike.index import Index
from tests.support.pictures import folder_of

READING = {"describe", "search", "similar", "show", "facets", "duplicates"}
WRITING = {"add", "update", "decide", "remove"}
COUNT = 12

Call = Callable[..., Awaitable[CallToolResult]]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with `photos` and their `index`."""
    photos = folder_of(tmp_path / "photos", COUNT)
    lines = ["id,file,kind,price"]
    lines += [f"sku-{i},{i:03}.jpg,{('hat', 'dress')[i % 2]},{i}.5" for i in range(COUNT)]
    (photos / "catalog.csv").write_text("\n".join(lines))
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(photos, metadata=photos / "catalog.csv")
    return tmp_path


def served(
    shop: Path, work: Callable[[Call, ListToolsResult], Awaitable[None]], *options: object
) -> None:
    """Runs `lookalike mcp`, and some work with its tools."""
    arguments = ["-m", "lookalike", "mcp", "--index", shop / "index", *options]
    command = StdioServerParameters(command=sys.executable, args=list(map(str, arguments)))

    async def run() -> None:
        async with stdio_client(command) as streams, ClientSession(*streams) as session:
            await session.initialize()

            async def call(name: str, **arguments: Any) -> CallToolResult:
                answer = await session.call_tool(name, arguments)
                assert isinstance(answer, CallToolResult)
                return answer

            await work(call, await session.list_tools())

    asyncio.run(run())


def document(answer: CallToolResult) -> dict[str, Any]:
    assert not answer.is_error, answer
    found = answer.structured_content
    assert isinstance(found, dict)
    return found


def pictures(answer: CallToolResult) -> dict[str, Image.Image]:
    """The pictures of an answer, each by the text before it."""
    rest: Sequence[Any] = answer.content[1:]
    found: dict[str, Image.Image] = {}
    for name, picture in zip(rest[::2], rest[1::2], strict=True):
        assert isinstance(name, TextContent)
        assert isinstance(picture, ImageContent)
        found[name.text] = Image.open(BytesIO(base64.b64decode(picture.data)))
    return found


def problem(answer: CallToolResult) -> str:
    assert answer.is_error
    (content,) = answer.content
    assert isinstance(content, TextContent)
    assert "Traceback" not in content.text
    return content.text


def test_an_agent_searches_and_reads(shop: Path) -> None:
    async def work(call: Call, tools: ListToolsResult) -> None:
        assert {tool.name for tool in tools.tools} == READING
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.tools)
        assert all(tool.description and len(tool.description) > 40 for tool in tools.tools)
        described = document(await call("describe"))
        assert described["images"] == COUNT
        assert described["fields"]["kind"] == {"type": "keyword", "values": {"dress": 6, "hat": 6}}
        assert described["aspects"] == ["semantic", "color", "texture"]
        assert "words" in described["text"]
        found = await call("search", image="003.jpg", where="price < 9", limit=3, thumbnails=2)
        hits = document(found)["hits"]
        assert [hits[0]["id"], hits[0]["fields"]] == ["sku-3", {"kind": "dress", "price": 3.5}]
        assert list(pictures(found)) == [hit["id"] for hit in hits[:2]]
        assert max(pictures(found)["sku-3"].size) <= 256
        near = document(await call("similar", id="sku-3", limit=4))["hits"]
        assert len(near) == 4
        assert "sku-3" not in {hit["id"] for hit in near}
        liked = document(await call("search", like=["sku-3"], unlike=["sku-4"], color=["blue"]))
        assert liked["hits"]
        listed = document(await call("search", sort="-price", limit=2))
        assert [hit["id"] for hit in listed["hits"]] == ["sku-11", "sku-10"]
        shown = await call("show", id="sku-5")
        assert document(shown)["payload"]["price"] == 5.5
        assert list(pictures(shown)) == ["sku-5"]
        counted = document(await call("facets", field="kind", where="price < 2"))
        assert {one["value"]: one["count"] for one in counted["values"]} == {"hat": 1, "dress": 1}
        assert document(await call("duplicates", id="sku-1"))["copies"] == []
        assert document(await call("duplicates"))["groups"] == []

    served(shop, work, "--root", shop / "photos")


def test_an_agent_is_told_what_is_wrong(shop: Path) -> None:
    async def work(call: Call, tools: ListToolsResult) -> None:
        outside = str(shop / "index" / "manifest.json")
        assert "not below a folder" in problem(await call("search", image=outside))
        assert "not below a folder" in problem(await call("search", image="../../etc/passwd"))
        assert "no image with the id 'nix'" in problem(await call("show", id="nix"))
        assert 'unknown field "pric"' in problem(await call("search", id="sku-1", where="pric < 1"))
        assert "less than or equal to 50" in problem(await call("search", id="sku-1", limit=1000))
        assert "Nothing to search by" in problem(await call("search"))
        assert "Unknown tool" in problem(await call("remove", ids=["sku-1"]))
        assert document(await call("similar", id="sku-1"))["hits"]  # it goes on

    served(shop, work, "--root", shop / "photos")


def test_without_a_root_no_file_is_read(shop: Path) -> None:
    async def work(call: Call, tools: ListToolsResult) -> None:
        inside = str(shop / "photos" / "001.jpg")
        assert "reads no folders" in problem(await call("search", image=inside))

    served(shop, work)


def test_an_agent_that_may_write(shop: Path) -> None:
    more = folder_of(shop / "photos" / "more", 2, first=50)

    async def work(call: Call, tools: ListToolsResult) -> None:
        assert {tool.name for tool in tools.tools} == READING | WRITING
        removing = next(tool for tool in tools.tools if tool.name == "remove")
        assert removing.annotations is not None
        assert removing.annotations.destructive_hint
        assert document(await call("add", path="more"))["added"] == 2
        assert "not below a folder" in problem(await call("add", path="/etc"))
        shown = document(await call("update", id="sku-1", fields={"price": 99, "kind": None}))
        assert shown["payload"]["price"] == 99
        decided = await call("decide", ids=["sku-1", "sku-2"], decision="not_duplicates")
        assert document(decided)["decision"] == "not_duplicates"
        assert document(await call("remove", ids=["sku-1", "nix"])) == {"removed": 1}
        assert "no image" in problem(await call("show", id="sku-1"))
        assert document(await call("describe"))["images"] == COUNT + 1

    served(shop, work, "--root", shop / "photos", "--allow-writes")
    assert len(list(more.iterdir())) == 2
    assert (shop / "photos" / "001.jpg").exists()
