"""Objects in buckets are moved, deleted and restored, whatever happens in between."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from obstore.store import S3Store

from lookalike.duplicates.file_places import IndexedFile
from lookalike.errors import InputError
from tests.duplicates.files import delete, indexed, killed, move_aside, undo
from tests.support.object_stores import READER, fill, google, moto, seaweed, use_store

NAMES = ("one/a.jpg", "one/b.jpg", "two/a.jpg", "two/deep/ü %20+#.jpg")
CONTENTS = {name: f"the bytes of {name}".encode() * 1000 for name in NAMES}


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as address:
        yield address


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    use_store(monkeypatch, endpoint)


@pytest.fixture
def shop(endpoint: str) -> S3Store:
    """A bucket with the objects of NAMES alone."""
    return emptied(endpoint, "shop", CONTENTS)


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "moves.jsonl"


def emptied(endpoint: str, bucket: str, objects: dict[str, bytes]) -> S3Store:
    store = fill(endpoint, bucket, {})
    store.delete(list(tree(store)))
    return fill(endpoint, bucket, objects)


def tree(store: S3Store) -> dict[str, bytes]:
    """The contents of all objects by key."""
    found = [one["path"] for page in store.list() for one in page]
    return {key: bytes(store.get(key).bytes()) for key in sorted(found)}


def known(store: S3Store, *names: str, bucket: str = "shop") -> list[IndexedFile]:
    """Objects as an index would know them now."""
    files = []
    for name in names:
        meta = store.head(name)
        digest = hashlib.sha256(bytes(store.get(name).bytes())).hexdigest()
        etag = f"{meta['size']}-{str(meta['e_tag']).strip(chr(34))}"
        files.append(IndexedFile(f"s3://{bucket}/{name}", digest, etag))
    return files


# --- moving ---------------------------------------------------------------------------------


def test_moves_keep_their_folders_and_metadata_and_come_back(shop: S3Store, log: Path) -> None:
    shop.put(
        "one/b.jpg", CONTENTS["one/b.jpg"], attributes={"Content-Type": "image/jpeg", "by": "me"}
    )
    files = known(shop, *NAMES)
    planned = move_aside(files, "s3://shop/aside/", log, dry_run=True)
    assert tree(shop) == CONTENTS
    assert not log.exists()
    report = move_aside(files, "s3://shop/aside/", log, dry_run=False)
    assert report == planned
    assert not report.skipped
    assert tree(shop) == {f"aside/{name}": data for name, data in CONTENTS.items()}
    assert {done.uri: done.to for done in report.done} == {
        f"s3://shop/{name}": f"s3://shop/aside/{name}" for name in NAMES
    }
    assert {json.loads(line)["version"] for line in log.read_text().splitlines()} == {2}
    back = undo(log)
    assert (len(back.done), back.skipped) == (4, [])
    assert tree(shop) == CONTENTS
    assert dict(shop.get("one/b.jpg").attributes) == {"Content-Type": "image/jpeg", "by": "me"}
    again = undo(log)
    assert not again.done
    assert not again.skipped


def test_into_another_bucket_and_back(endpoint: str, shop: S3Store, log: Path) -> None:
    attributes = {"Content-Type": "image/jpeg", "Cache-Control": "max-age=5", "by": "me"}
    shop.put("one/a.jpg", CONTENTS["one/a.jpg"], attributes=attributes)
    attic = emptied(endpoint, "attic", {"one/b.jpg": b"mine"})
    report = move_aside(known(shop, *NAMES), "s3://attic", log, dry_run=False)
    assert not report.skipped
    assert tree(shop) == {}
    moved = {"one/b (2).jpg" if name == "one/b.jpg" else name: CONTENTS[name] for name in NAMES}
    assert tree(attic) == {**moved, "one/b.jpg": b"mine"}
    assert dict(attic.get("one/a.jpg").attributes) == attributes
    assert len(undo(log).done) == 4
    assert tree(shop) == CONTENTS
    assert tree(attic) == {"one/b.jpg": b"mine"}
    assert dict(shop.get("one/a.jpg").attributes) == attributes


def test_a_name_that_is_taken_gets_a_number(shop: S3Store, log: Path) -> None:
    shop.put("aside/a.jpg", b"mine")
    shop.put("aside/a (2).xmp", b"mine, too")
    shop.put("one/a.xmp", b"edits")
    (picture,) = known(shop, "one/a.jpg")
    move_aside([picture], "s3://shop/aside", log, dry_run=False)
    assert shop.head("aside/a (3).jpg")["size"] == len(CONTENTS["one/a.jpg"])
    assert bytes(shop.get("aside/a (3).xmp").bytes()) == b"edits"
    assert bytes(shop.get("aside/a.jpg").bytes()) == b"mine"
    undo(log)
    assert {key for key in tree(shop) if key.startswith("aside")} == {
        "aside/a.jpg",
        "aside/a (2).xmp",
    }
    assert bytes(shop.get("one/a.xmp").bytes()) == b"edits"


def test_what_changed_is_gone_or_elsewhere_is_skipped(
    shop: S3Store, log: Path, tmp_path: Path
) -> None:
    files = known(shop, *NAMES)
    shop.put("one/a.jpg", b"edited since")
    shop.delete("one/b.jpg")
    shop.put("two/a.jpg", CONTENTS["two/a.jpg"])  # the same bytes again
    (tmp_path / "here.jpg").write_bytes(b"here")
    others = [
        indexed(tmp_path / "here.jpg"),
        IndexedFile("gs://shop/a.jpg", "0" * 64),
        IndexedFile("s3://nowhere/a.jpg", "0" * 64),
        IndexedFile("s3://shop/aside/a.jpg", "0" * 64),
    ]
    report = move_aside([*files, *others], "s3://shop/aside", log, dry_run=False)
    assert [done.uri for done in report.done] == [f"s3://shop/{name}" for name in NAMES[2:]]
    expected = (
        "changed since",
        "no longer exists",
        "choose a folder of this machine",
        "choose a folder of its own store",
        "there is no such bucket",
        "is in s3://shop/aside already",
    )
    for skipped, reason in zip(report.skipped, expected, strict=True):
        assert skipped.reason.startswith(skipped.uri)
        assert reason in skipped.reason
    assert bytes(shop.get("one/a.jpg").bytes()) == b"edited since"


@pytest.mark.parametrize("folder", ["s3://", "s3:///aside", "s3://shop//aside", "s3://shop/../x"])
def test_an_address_that_is_no_folder_is_one_sentence(folder: str, log: Path) -> None:
    with pytest.raises(InputError, match=r"write it as s3://bucket/folder/"):
        move_aside([], folder, log, dry_run=True)


def test_an_etag_of_another_time_is_settled_by_the_bytes(shop: S3Store, log: Path) -> None:
    (file,) = known(shop, "one/a.jpg")
    older = IndexedFile(file.uri, file.sha256, "17-before")
    other = IndexedFile(file.uri, "0" * 64, "17-before")
    assert move_aside([older], "s3://shop/aside", log, dry_run=True).done
    assert move_aside([other], "s3://shop/aside", log, dry_run=True).skipped


def test_companions_move_and_protect_as_on_disk(shop: S3Store, log: Path) -> None:
    beside = ("one/a.jpg.xmp", "one/a.mov", "one/ab.xmp", "one/a/x.xmp", "one/b.AAE", "one/b")
    for name in beside:
        shop.put(name, name.encode())
    a, b, keeper = known(shop, "one/a.jpg", "one/b.jpg", "two/a.jpg")
    (skipped,) = delete([(a, keeper)], log, dry_run=False).skipped
    assert "a.jpg.xmp, a.mov belongs to it: move it aside instead" in skipped.reason
    before = tree(shop)
    planned = move_aside([a, b], "s3://shop/aside", log, dry_run=True)
    assert move_aside([a, b], "s3://shop/aside", log, dry_run=False) == planned
    aside = {key for key in tree(shop) if key.startswith("aside/")}
    # one/b is another picture, as far as its name tells, so b.AAE stays with it.
    assert aside == {"aside/a.jpg", "aside/a.jpg.xmp", "aside/a.mov", "aside/b.jpg"}
    undo(log)
    assert tree(shop) == before
    report = move_aside(
        [a], "s3://shop/aside", log, dry_run=True, is_indexed=lambda uri: uri.endswith(".mov")
    )
    assert [done.uri for done in report.done] == ["s3://shop/one/a.jpg.xmp", a.uri]


def test_credentials_that_only_read_change_nothing(
    shop: S3Store, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, b = known(shop, "one/a.jpg", "one/b.jpg")
    for name, value in READER.items():
        monkeypatch.setenv(name, value)
    (moved,) = move_aside([a], "s3://shop/aside", log, dry_run=False).skipped
    (deleted,) = delete([(a, b)], log, dry_run=False).skipped
    for skipped in (moved, deleted):
        assert "access is denied (AccessDenied)" in skipped.reason
        assert "write and delete objects" in skipped.reason
    assert not undo(log).done
    assert tree(shop) == CONTENTS


def test_the_copy_goes_where_the_original_may_not(
    endpoint: str, shop: S3Store, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    attic = emptied(endpoint, "attic", {})
    (file,) = known(shop, "one/a.jpg")
    for name, value in READER.items():
        monkeypatch.setenv(name, value)
    (skipped,) = move_aside([file], "s3://attic", log, dry_run=False).skipped
    assert "s3://shop/one/a.jpg: access is denied" in skipped.reason
    assert tree(shop) == CONTENTS
    assert tree(attic) == {}


def test_a_bucket_that_does_not_answer_is_asked_once(
    log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    files = [IndexedFile(f"s3://shop/{i}.jpg", "0" * 64) for i in range(500)]
    started = time.monotonic()
    report = move_aside(files, "s3://shop/aside", log, dry_run=True)
    assert time.monotonic() - started < 20
    assert len(report.skipped) == 500
    assert "does not answer" in report.skipped[-1].reason


# --- undoing --------------------------------------------------------------------------------


def test_undo_overwrites_nothing(shop: S3Store, log: Path) -> None:
    move_aside(known(shop, *NAMES), "s3://shop/aside", log, dry_run=False)
    shop.put("one/a.jpg", b"a new one")
    shop.put("aside/one/b.jpg", b"edited aside")
    shop.delete("aside/two/a.jpg")
    report = undo(log)
    assert [done.to for done in report.done] == [f"s3://shop/{NAMES[3]}"]
    reasons = {skipped.uri.removeprefix("s3://shop/"): skipped.reason for skipped in report.skipped}
    assert "compare them" in reasons["one/a.jpg"]
    assert "changed since" in reasons["one/b.jpg"]
    assert "no longer exists" in reasons["two/a.jpg"]
    assert bytes(shop.get("one/a.jpg").bytes()) == b"a new one"
    assert bytes(shop.get("aside/one/b.jpg").bytes()) == b"edited aside"


def test_undo_finishes_interrupted_moves(shop: S3Store, log: Path) -> None:
    """Goes through every state in which a kill can leave a move."""
    move_aside(known(shop, "one/a.jpg"), "s3://shop/aside", log, dry_run=False)
    data = CONTENTS["one/a.jpg"]
    shop.rename("aside/a.jpg", "one/a.jpg")  # only the line was written
    assert undo(log).done == []
    assert tree(shop) == CONTENTS
    shop.copy("one/a.jpg", "aside/a.jpg")  # the original was not yet deleted
    assert len(undo(log).done) == 1
    assert tree(shop) == CONTENTS
    line = json.loads(log.read_text())
    log.write_text(json.dumps({**line, "to": line["from"]}) + "\n")  # a log that someone edited
    assert len(undo(log).skipped) == 1
    log.write_text(json.dumps({**line, "to": "gs://shop/a.jpg"}) + "\n")
    assert "another store" in undo(log).skipped[0].reason
    assert tree(shop) == CONTENTS
    assert bytes(shop.get("one/a.jpg").bytes()) == data


@pytest.mark.parametrize("folder", ["s3://shop/aside", "s3://attic"])
def test_killed_at_any_moment_nothing_is_lost(
    folder: str, endpoint: str, log: Path, tmp_path: Path
) -> None:
    moments = random.Random(7)
    before = {f"{i % 7}/{i:03}.jpg": moments.randbytes(20_000) for i in range(60)}
    shop, attic = emptied(endpoint, "shop", before), emptied(endpoint, "attic", {})
    files, kills = tmp_path / "files.json", 0
    for _ in range(2):
        known_now = known(shop, *(key for key in tree(shop) if not key.startswith("aside")))
        files.write_text(json.dumps([[one.uri, one.sha256, one.etag] for one in known_now]))
        kills += killed("move", log, folder, files, after=moments.uniform(0.1, 0.4))
        assert set(before.values()) <= {*tree(shop).values(), *tree(attic).values()}
        kills += killed("undo", log, after=moments.uniform(0.05, 0.2))
        assert set(before.values()) <= {*tree(shop).values(), *tree(attic).values()}
    assert kills >= 2
    assert not undo(log).skipped
    assert tree(shop) == before
    assert tree(attic) == {}


@pytest.mark.usefixtures("endpoint")
def test_a_store_that_cannot_refuse_to_overwrite(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with moto(tmp_path) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        shop = fill(endpoint, "shop", {**CONTENTS, "aside/one/a.jpg": b"mine"})
        assert not move_aside(known(shop, *NAMES), "s3://shop/aside", log, dry_run=False).skipped
        assert bytes(shop.get("aside/one/a.jpg").bytes()) == b"mine"
        assert not undo(log).skipped
        assert tree(shop) == {**CONTENTS, "aside/one/a.jpg": b"mine"}


# --- deleting -------------------------------------------------------------------------------


def test_deletes_only_while_the_keeper_is_unchanged(
    shop: S3Store, log: Path, tmp_path: Path
) -> None:
    keeper, copy, edited, orphan = known(shop, *NAMES)
    (tmp_path / "here.jpg").write_bytes(b"here")
    here = indexed(tmp_path / "here.jpg")
    shop.put("two/a.jpg", b"edited since")
    pairs = [
        (copy, keeper),
        (edited, keeper),
        (orphan, IndexedFile("s3://shop/lost.jpg", "0" * 64)),
        (keeper, keeper),
        (keeper, copy),
        (orphan, IndexedFile(here.uri, "0" * 64)),
        (here, edited),  # an index may have both kinds
        (here, keeper),
    ]
    planned = delete(pairs, log, dry_run=True)
    assert delete(pairs, log, dry_run=False) == planned
    assert [done.uri for done in planned.done] == [copy.uri, here.uri]
    assert not (tmp_path / "here.jpg").exists()
    reasons = [skipped.reason for skipped in planned.skipped]
    for reason, expected in zip(
        reasons,
        (
            "changed since",
            "its keeper s3://shop/lost.jpg no longer exists",
            "is the same file as its keeper",
            f"its keeper {copy.uri} is itself gone",
            f"its keeper {here.uri} changed since",
            f"its keeper {edited.uri} changed since",
        ),
        strict=True,
    ):
        assert expected in reason
    assert set(tree(shop)) == {NAMES[0], NAMES[2], NAMES[3]}
    undone = {skipped.uri: skipped.reason for skipped in undo(log).skipped}
    assert f"{keeper.uri} was kept" in undone[copy.uri]


def test_a_bucket_of_google(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = CONTENTS["one/a.jpg"]
    with google(tmp_path / "google", {"shop/1.jpg": data, "shop/2.jpg": data}) as endpoint:
        key = {"gcs_base_url": endpoint, "disable_oauth": True, "client_email": ""}
        monkeypatch.setenv("GOOGLE_BASE_URL", endpoint)
        monkeypatch.setenv(
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            json.dumps({**key, "private_key": "", "private_key_id": ""}),
        )
        digest = hashlib.sha256(data).hexdigest()
        copy, keeper = (IndexedFile(f"gs://shop/{i}.jpg", digest, "before") for i in (1, 2))
        assert move_aside([copy], "gs://shop/aside", log, dry_run=True).done
        assert delete([(copy, keeper)], log, dry_run=False).done
        (skipped,) = delete([(keeper, copy)], log, dry_run=False).skipped
        assert f"its keeper {copy.uri} no longer exists" in skipped.reason
