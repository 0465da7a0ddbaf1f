"""The HTTP service on a real port, for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from lookalike.api.options import Options
from lookalike.api.server import create_server
from lookalike.index import Index
from tests.support.pictures import draw, folder_of


@contextmanager
def running(index: Index, options: Options) -> Iterator[tuple[FastAPI, str]]:
    """Serves an index within the block; yields the application and its URL."""
    ready = threading.Event()
    urls: list[str] = []

    def set_ready(url: str) -> None:
        urls.append(url)
        ready.set()

    server = create_server(index, options, host="127.0.0.1", port=0, ready=set_ready)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield server.config.app, urls[0]  # type: ignore[misc]
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@contextmanager
def serving(index: Index, options: Options) -> Iterator[httpx.Client]:
    """Serves an index within the block; yields a client of the service."""
    with running(index, options) as (_, url), httpx.Client(base_url=url, timeout=30) as client:
        yield client


def small_index(folder: Path, count: int = 12) -> Index:
    """Makes an index of drawn pictures with the ids 0, 1, … and a few fields."""
    photos = folder_of(folder / "photos", count)
    rows = [f"{i},{i:03}.jpg,{i * 10},{'red' if i % 2 else 'blue'}" for i in range(count)]
    table = folder / "catalog.csv"
    table.write_text("\n".join(["id,file,price,kind", *rows]) + "\n")
    index = Index.open(folder / "index", model="built-in", threads=1)
    index.add(photos, metadata=table)
    return index


def options(folder: Path, **more: Any) -> Options:
    """Returns options that store everything in one folder."""
    return Options(**{"state": folder, "uploads": folder / "uploads"} | more)


def picture(seed: int, format: str = "PNG") -> bytes:
    """Returns a drawn picture as an image file."""
    file = BytesIO()
    draw(seed).save(file, format)
    return file.getvalue()
