"""Azure Blob Storage and Google Cloud Storage: one pass of all that is done with a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from obstore.store import AzureStore, GCSStore

from lookalike.errors import SourceError
from lookalike.index import Index
from lookalike.sources import open_sources
from tests.support.azurite import ACCOUNT, KEY, azurite
from tests.support.object_stores import google, google_key
from tests.support.pictures import folder_of

pytestmark = pytest.mark.slow  # servers that start, and npm, which installs one of them

PLAIN: Any = {"allow_http": True}


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = folder_of(tmp_path_factory.mktemp("pictures"), 4)
    files = [path.read_bytes() for path in sorted(folder.iterdir())]
    pictures = {f"live/{number}.jpg": data for number, data in enumerate(files)}
    return {**pictures, **{f"twins/{name}.jpg": files[0] for name in ("one", "three", "two")}}


@pytest.fixture
def azure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objects: dict[str, bytes]
) -> Iterator[AzureStore]:
    with azurite(tmp_path / "azurite", "shop") as endpoint:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_NAME", ACCOUNT)
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
        monkeypatch.setenv("AZURE_STORAGE_ENDPOINT", endpoint)
        config: Any = {"account_name": ACCOUNT, "account_key": KEY, "endpoint": endpoint}
        store = AzureStore("shop", config=config, client_options=PLAIN)
        for key, data in objects.items():
            store.put(key, data)
        yield store


@pytest.fixture
def gcs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objects: dict[str, bytes]
) -> Iterator[GCSStore]:
    named = {f"shop/{key}": data for key, data in objects.items()}
    with google(tmp_path / "google", named) as endpoint:
        key = google_key(tmp_path, endpoint)
        monkeypatch.setenv("GOOGLE_BASE_URL", endpoint)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        yield GCSStore("shop", client_options=PLAIN)


def keys(store: AzureStore | GCSStore, folder: str) -> list[str]:
    return sorted(one["path"] for page in store.list(folder) for one in page)


def keep_up_to_date(index: Index, root: str, store: AzureStore | GCSStore) -> None:
    """Indexes a bucket, and follows it."""
    assert index.add(f"{root}live/").added == 4
    again = index.add(f"{root}live/", prune=True)
    assert (again.unchanged, again.removed) == (4, 0)
    assert index.thumbnail(f"{root}live/1.jpg", 64).startswith(b"\xff\xd8")
    store.delete("live/3.jpg")
    assert index.add(f"{root}live/", prune=True, yes=True).removed == 1
    assert index.add(f"{root}twins/").added == 3


def test_a_container_of_azure(azure: AzureStore, index: Index, tmp_path: Path) -> None:
    keep_up_to_date(index, "az://shop/", azure)
    report = index.resolve_duplicates(
        index.duplicates(), "move", move_to="az://shop/aside", dry_run=False, log=tmp_path / "log"
    )
    assert (len(report.done), report.skipped) == (3, [])
    assert keys(azure, "aside") == ["aside/one.jpg", "aside/three.jpg", "aside/two.jpg"]
    assert keys(azure, "twins") == []
    assert len(index.undo(tmp_path / "log").done) == 3
    assert keys(azure, "aside") == []

    index.add("az://shop/twins/")
    report = index.resolve_duplicates(
        index.duplicates(), "delete", dry_run=False, log=str(tmp_path / "deleted")
    )
    assert len(report.done) == 3
    assert keys(azure, "twins") == []
    with pytest.raises(SourceError, match="there is no such bucket at http"):
        open_sources(["az://nowhere/"])


def test_a_bucket_of_google(gcs: GCSStore, index: Index, tmp_path: Path) -> None:
    keep_up_to_date(index, "gs://shop/", gcs)
    # The server does not know the request by which Google copies an object: nothing happens.
    report = index.resolve_duplicates(
        index.duplicates(), "move", move_to="gs://shop/aside", dry_run=False, log=tmp_path / "log"
    )
    assert report.done == []
    assert {"400 Bad Request" in file.reason for file in report.skipped} == {True}
    assert len(keys(gcs, "twins")) == 3
    assert index.count() == 6

    report = index.resolve_duplicates(
        index.duplicates(), "delete", dry_run=False, log=tmp_path / "deleted"
    )
    assert len(report.done) == 3
    assert keys(gcs, "twins") == []
