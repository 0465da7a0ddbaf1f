"""Files that moved: the point follows the content, and no model runs for it again.

An index that rejects every image as too large proves that nothing was decoded.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from lookalike.engines.options import ServerOptions
from lookalike.index import Index
from lookalike.ingest import partition
from lookalike.ingest.uploads import Upload
from lookalike.types import Decision, DecodeLimits
from tests.support.command_line import documents, lookalike
from tests.support.pictures import draw, folder_of
from tests.support.qdrant_wire import RestServer, Store

COUNT = 6
SERVER = ServerOptions(grpc=False, backoff=0.01, patience=3)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "photos", COUNT)


@pytest.fixture(params=["folder", "server"])
def url(request: pytest.FixtureRequest, tmp_path: Path, photos: Path) -> Iterator[str]:
    """An index of the photos, on each engine; a rating was added to one, by hand."""
    with closing(RestServer(Store())) as server:
        url = str(tmp_path / "index") if request.param == "folder" else server.url
        with Index.open(url, model="built-in", server=SERVER) as index:
            index.add(photos, metadata=table(photos, "file,rating\n000.jpg,1\n"))
            index.update(str(photos / "000.jpg"), {"rating": 5})
        yield url


def table(photos: Path, text: str) -> Path:
    path = photos.parent / "table.csv"
    path.write_text(text)
    return path


@contextmanager
def blind(url: str) -> Iterator[Index]:
    """The index, where every image that is decoded is rejected."""
    limits = DecodeLimits(pixels=1)
    with Index.open(url, create=False, limits=limits, server=SERVER) as index:
        yield index


def move(photos: Path, name: str, to: str) -> Path:
    (photos / to).parent.mkdir(parents=True, exist_ok=True)
    return (photos / name).rename(photos / to)


def test_a_decoder_that_is_asked_rejects(url: str, photos: Path) -> None:
    draw(77).save(photos / "new.jpg")
    with blind(url) as index:
        assert index.add(photos).rejects[0].reason == "too_large"


@pytest.mark.parametrize("prune", [False, True])
def test_fields_vectors_and_decisions_follow_a_file(url: str, photos: Path, prune: bool) -> None:
    old = str(photos / "000.jpg")
    with blind(url) as index:
        index.decide([old, str(photos / "001.jpg")], Decision.KEEP_ALL)
        before = index.get(old, vectors=True)
        new = str(move(photos, "000.jpg", "sub/renamed.jpg"))
        report = index.add(photos, prune=prune)
        assert (report.moved, report.unchanged, report.rejected) == (1, COUNT - 1, 0)
        assert (report.done, report.removed, len(index)) == (COUNT, 0, COUNT)
        after = index.get(new, vectors=True)
        assert after.payload["rating"] == 5
        own = {**before.payload["image"], "id": new, "uri": new}
        assert after.payload["image"] == own
        for name, vector in before.vectors.items():
            np.testing.assert_allclose(after.vectors[name], vector, atol=1e-6)
        assert index.get_many([old]) == []
        again = index.add(photos, prune=prune)
        assert (again.unchanged, again.removed) == (COUNT, 0)
        assert index.search(id=new, limit=3)


def test_an_id_that_was_given_stays(url: str, photos: Path) -> None:
    rows = "id,file,price\nsku-1,001.jpg,3\nsku-2,001.jpg,4\n"
    with blind(url) as index:
        assert index.add(photos, metadata=table(photos, rows)).rejected == 0
        new = str(move(photos, "001.jpg", "other.jpg"))
        report = index.add(photos, prune=True)
        assert (report.moved, report.rejected, report.removed) == (2, 0, 0)
        for id, price in (("sku-1", 3), ("sku-2", 4)):
            assert index.get(id).payload["image"]["uri"] == new
            assert index.get(id).payload["price"] == price
        assert len(index) == COUNT + 1
        assert index.add(photos).unchanged == COUNT + 1


def test_ids_that_come_later_keep_fields_and_embed_nothing(url: str, photos: Path) -> None:
    rows = "id,file\n" + "".join(f"sku-{i},{i:03}.jpg\n" for i in range(COUNT))
    with blind(url) as index:
        report = index.add(photos, metadata=table(photos, rows))
        assert (report.updated, report.rejected, len(index)) == (COUNT, 0, COUNT)
        assert {point.id for point in index.scroll()} == {f"sku-{i}" for i in range(COUNT)}


def test_metadata_decides_over_the_fields_of_a_moved_file(url: str, photos: Path) -> None:
    new = str(move(photos, "000.jpg", "b.jpg"))
    with blind(url) as index:
        report = index.add(photos, metadata=table(photos, "file,rating,price\nb.jpg,,3\n"))
        assert (report.moved, report.cleared, report.rejected) == (1, 1, 0)
        fields = index.get(new).payload
        assert (fields.get("rating"), fields["price"]) == (None, 3)


def test_an_id_may_come_with_the_move(url: str, photos: Path) -> None:
    new = str(move(photos, "000.jpg", "b.jpg"))
    with blind(url) as index:
        report = index.add(photos, metadata=table(photos, "id,file\nsku-0,b.jpg\n"), prune=True)
        assert (report.moved, report.rejected, len(index)) == (1, 0, COUNT)
        assert index.get("sku-0").payload["image"]["uri"] == new


def test_a_disk_that_is_mounted_elsewhere_keeps_everything(
    url: str, photos: Path, tmp_path: Path
) -> None:
    shutil.move(photos, tmp_path / "elsewhere")
    with blind(url) as index:
        report = index.add(tmp_path / "elsewhere")
        assert (report.moved, report.rejected, len(index)) == (COUNT, 0, COUNT)
        assert index.get(str(tmp_path / "elsewhere" / "000.jpg")).payload["rating"] == 5


def test_a_second_file_with_the_same_content_is_an_image_of_its_own(url: str, photos: Path) -> None:
    shutil.copy(photos / "000.jpg", photos / "copy.jpg")
    with blind(url) as index:
        report = index.add(photos)
        assert (report.added, report.moved, report.rejected) == (1, 0, 0)
        one, two = (index.get(str(photos / n), vectors=True) for n in ("000.jpg", "copy.jpg"))
        assert one.payload["rating"] == 5
        assert "rating" not in two.payload
        assert two.payload["image"]["uri"] == two.id
        assert two.payload["image"]["colors"] == one.payload["image"]["colors"]
        np.testing.assert_allclose(one.vectors["color"], two.vectors["color"], atol=1e-6)


def test_a_file_overwritten_by_another_s_content_embeds_nothing(url: str, photos: Path) -> None:
    shutil.copy(photos / "001.jpg", photos / "000.jpg")
    with blind(url) as index:
        report = index.add(photos)
        assert (report.updated, report.rejected) == (1, 0)
        point = index.get(str(photos / "000.jpg"))
        assert point.payload["rating"] == 5
        other = index.get(str(photos / "001.jpg")).payload["image"]["sha256"]
        assert point.payload["image"]["sha256"] == other


def test_twins_that_move_together_keep_their_own(url: str, photos: Path) -> None:
    shutil.copy(photos / "000.jpg", photos / "twin.jpg")
    with blind(url) as index:
        index.add(photos)
        index.update(str(photos / "twin.jpg"), {"rating": 2})
        for name in ("000.jpg", "twin.jpg"):
            move(photos, name, f"2024/{name}")
        shutil.copy(photos / "2024" / "twin.jpg", photos / "2024" / "z.jpg")
        report = index.add(photos, prune=True)
        assert (report.moved, report.added, report.rejected, report.removed) == (2, 1, 0, 0)
        ratings = {
            Path(point.id).name: point.payload.get("rating")
            for point in index.scroll()
            if "2024" in point.id
        }
        assert ratings == {"000.jpg": 5, "twin.jpg": 2, "z.jpg": None}


def test_a_move_that_was_cut_off_is_finished(url: str, photos: Path) -> None:
    """As after a kill between the writing of the new point and the deletion of the old one."""
    old = str(photos / "000.jpg")
    with blind(url) as index:
        before = index.get(old, vectors=True)
        new = str(move(photos, "000.jpg", "b.jpg"))
        index.add(photos)
        after = index.get(new, vectors=True)
        index._engine.upsert([before])
        index._engine.set_payload(new, {"image": {"moved_from": old}})
        report = index.add(photos)
        assert (report.unchanged, len(index)) == (COUNT, COUNT)
        assert index.get_many([old]) == []
        assert index.get(new).payload == after.payload


def test_a_file_that_moved_back_meanwhile_is_not_deleted(url: str, photos: Path) -> None:
    old = str(photos / "000.jpg")
    with blind(url) as index:
        shutil.copy(old, photos / "b.jpg")
        index.add(photos)
        index._engine.set_payload(str(photos / "b.jpg"), {"image": {"moved_from": old}})
        assert index.add(photos).unchanged == COUNT + 1
        assert index.get(old).payload["rating"] == 5
        assert "moved_from" not in index.get(str(photos / "b.jpg")).payload["image"]


def test_a_move_between_parts(url: str, photos: Path) -> None:
    old = str(photos / "000.jpg")
    part = next(n for n in (1, 2) if partition.belongs_to((n, 2), old))
    names = (f"moved{i}.jpg" for i in range(100))
    other = next(n for n in names if not partition.belongs_to((part, 2), str(photos / n)))
    new = str(move(photos, "000.jpg", other))
    with blind(url) as index:
        for number in (part, 3 - part):
            assert index.add(photos, partition=(number, 2)).rejected == 0
        assert index.get(new).payload["rating"] == 5
        assert len(index) == COUNT


@pytest.mark.parametrize("copies", ["skip", "link"])
def test_a_file_that_moved_is_no_copy_of_itself(
    url: str, photos: Path, copies: Literal["skip", "link"]
) -> None:
    new = str(move(photos, "000.jpg", "b.jpg"))
    with blind(url) as index:
        report = index.add(photos, copies=copies)
        assert (report.moved, report.skipped, report.copies) == (1, 0, ())
        shutil.copy(new, photos / "c.jpg")
        report = index.add(photos, copies=copies)
        assert [(copy.of, copy.verdict) for copy in report.copies] == [(new, "identical")]


@pytest.mark.parametrize("uri", ["s3://bucket/000.jpg", "uploads/000.jpg"])
def test_an_address_that_cannot_be_looked_at_is_not_gone(url: str, photos: Path, uri: str) -> None:
    with blind(url) as index:
        upload = Upload((photos / "000.jpg").read_bytes(), uri)
        assert index.put([upload]).added == 1  # without its fields, as it is another image
        index.delete([str(photos / "000.jpg")])
        move(photos, "000.jpg", "b.jpg")
        report = index.add(photos)
        assert (report.added, report.moved, report.rejected) == (1, 0, 0)
        assert index.get(upload.sha256).payload["image"]["uri"] == uri


def test_the_command_counts_what_moved(photos: Path, tmp_path: Path) -> None:
    to = ("index", photos, "--index", tmp_path / "i", "--model", "built-in")
    documents(*to)
    move(photos, "000.jpg", "a/000.jpg")
    assert documents(*to)["moved"] == 1
    move(photos, "001.jpg", "a/001.jpg")
    assert "moved 1" in lookalike(*to, "--prune").stdout
