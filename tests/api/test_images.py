"""Images over HTTP: reading, adding, changing, removing."""

from __future__ import annotations

import json
import threading
import time
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image

from lookalike.api.schemas import ColorResponse, RecordResponse
from lookalike.index import Index
from lookalike.record import Color, ImageRecord
from tests.support.api_server import options, picture, serving
from tests.support.pictures import draw


def stored(folder: Path) -> set[str]:
    """Names of the files in the upload store."""
    return {path.name for path in (folder / "uploads").rglob("*") if path.is_file()}


def test_the_document_describes_the_whole_record() -> None:
    assert RecordResponse.model_fields.keys() == ImageRecord.__annotations__.keys()
    assert ColorResponse.model_fields.keys() == Color.__annotations__.keys()


def test_an_added_image_is_found_by_the_very_next_search(client: httpx.Client) -> None:
    for seed in range(40, 45):
        added = client.put(
            "/v1/image", params={"id": f"new/{seed}"}, files={"image": ("a.png", picture(seed))}
        )
        assert added.json() == {"id": f"new/{seed}", "added": True}
        answer = client.post("/v1/search/upload", files={"image": ("a.png", picture(seed))})
        assert answer.json()["hits"][0]["id"] == f"new/{seed}"


def test_many_at_once_with_ids_and_fields(client: httpx.Client, folder: Path) -> None:
    before = stored(folder)
    files = [("files", (f"{n}.png", picture(n))) for n in (50, 51)]
    files.append(("files", ("broken.jpg", b"\xff\xd8\xff no picture")))
    items = [{"id": "a/b c?&#\u00e4", "fields": {"price": 5, "kind": "red", "new": 1.5}}, {}, {}]
    answer = client.post("/v1/images", files=files, data={"items": json.dumps(items)})
    assert answer.status_code == 200, answer.text
    report = answer.json()
    digest = sha256(picture(51)).hexdigest()
    assert report["ids"] == ["a/b c?&#\u00e4", digest, None]
    assert (report["added"], report["rejected"]) == (2, 1)
    assert report["rejects"][0]["uri"] == "broken.jpg"
    payload = client.get("/v1/image", params={"id": "a/b c?&#\u00e4"}).json()["payload"]
    assert (payload["price"], payload["kind"], payload["new"]) == (5, "red", 1.5)
    assert stored(folder) - before == {digest, sha256(picture(50)).hexdigest()}
    refused = "lookalike_rejects_total{reason="
    assert refused in client.get("/metrics").text


def test_no_file_of_a_rejected_image_is_stored(client: httpx.Client, folder: Path) -> None:
    before = stored(folder)
    answer = client.post("/v1/images", files=[("files", ("a.jpg", b"nothing"))])
    assert answer.status_code == 422
    assert answer.json()["rejects"][0]["reason"] == "unsupported_format"
    alone = client.put("/v1/image", params={"id": "x"}, files={"image": ("a.jpg", b"nothing")})
    assert (alone.status_code, alone.json()["reason"]) == (422, "unsupported_format")
    wrong = client.put(
        "/v1/image",
        params={"id": "x"},
        files={"image": ("a.png", picture(1))},
        data={"fields": '{"price": "dear"}'},
    )
    assert (wrong.status_code, wrong.json()["error"]) == (400, "InputError")
    assert stored(folder) == before


def test_a_file_is_deleted_with_the_last_image_that_refers_to_it(
    client: httpx.Client, folder: Path
) -> None:
    before = stored(folder)
    for id in ("a", "b"):
        client.put("/v1/image", params={"id": id}, files={"image": ("x.png", picture(60))})
    assert stored(folder) - before == {sha256(picture(60)).hexdigest()}
    assert client.get("/v1/image", params={"id": "a"}).is_success
    client.put("/v1/image", params={"id": "a"}, files={"image": ("x.png", picture(61))})
    assert len(stored(folder) - before) == 2
    assert client.delete("/v1/image", params={"id": "b"}).json() == {"deleted": 1}
    assert stored(folder) - before == {sha256(picture(61)).hexdigest()}
    answer = client.post("/v1/images/delete", json={"ids": ["a", "nothing"]})
    assert answer.json() == {"deleted": 1}
    assert stored(folder) == before


def test_images_that_were_indexed_from_disk_stay_on_disk(
    client: httpx.Client, folder: Path
) -> None:
    assert client.delete("/v1/image", params={"id": "7"}).json() == {"deleted": 1}
    assert client.delete("/v1/image", params={"id": "7"}).status_code == 404
    assert (folder / "photos" / "007.jpg").exists()


def test_fields_are_set_and_removed(client: httpx.Client) -> None:
    set_to = {"fields": {"price": 99, "kind": None}}
    payload = client.patch("/v1/image", params={"id": "6"}, json=set_to).json()["payload"]
    assert payload["price"] == 99
    assert payload.get("kind") is None
    several: list[dict[str, Any]] = [
        {"price": "dear"},
        {"taste": {}},
        {"image.uri": "/etc/passwd"},
        {"image": {}},
    ]
    for wrong in several:
        answer = client.patch("/v1/image", params={"id": "6"}, json={"fields": wrong})
        assert (answer.status_code, answer.json()["error"]) == (400, "InputError"), wrong
    new = client.patch("/v1/image", params={"id": "6"}, json={"fields": {"taste": 1}})
    assert new.json()["payload"]["taste"] == 1
    nothing = client.patch("/v1/image", params={"id": "no"}, json={"fields": {}})
    assert nothing.status_code == 404


def test_images_are_listed_and_shown(client: httpx.Client) -> None:
    listed = client.get(
        "/v1/images", params={"where": "price in (0, 10, 20, 30)", "limit": 3}
    ).json()
    more = client.get(
        "/v1/images", params={"where": "price in (0, 10, 20, 30)", "offset": 3}
    ).json()
    assert listed["total"] == 4
    ids = [image["id"] for image in [*listed["images"], *more["images"]]]
    assert sorted(ids) == ["0", "1", "2", "3"]
    beyond = client.get("/v1/images", params={"limit": 1000, "offset": 1})
    assert beyond.status_code == 400
    point = client.get("/v1/image", params={"id": "1", "vectors": True}).json()
    assert {"lookalike-small-1", "color", "texture", "phash"} == set(point["vectors"])


def test_a_cursor_leads_through_all_images_whatever_is_removed(client: httpx.Client) -> None:
    everything = client.get("/v1/images", params={"limit": 1_000}).json()
    ids = [image["id"] for image in everything["images"]]
    assert everything["cursor"] is None
    client.put("/v1/image", params={"id": "odd & öd"}, files={"image": ("a.png", picture(400))})
    seen: list[str] = []
    page: dict[str, Any] = {"cursor": ""}
    while page["cursor"] is not None:
        after = {"cursor": page["cursor"]} if page["cursor"] else {}
        page = client.get("/v1/images", params={"limit": 2, **after}).json()
        seen += [image["id"] for image in page["images"]]
        if len(seen) == 4:
            client.delete("/v1/image", params={"id": seen[3]})  # the cursor's own image
    assert len(seen) == len(set(seen))
    assert set(seen) == {*ids, "odd & öd"}
    some: dict[str, str | int] = {"where": "price in (0, 10, 20, 30)", "limit": 3}
    first = client.get("/v1/images", params=some).json()
    last = client.get("/v1/images", params={**some, "cursor": first["cursor"]}).json()
    assert last["cursor"] is None
    assert len(first["images"]) + len(last["images"]) == first["total"]


def test_images_are_re_encoded_and_cached_by_browsers(client: httpx.Client, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x9286] = "at home"
    file = BytesIO()
    draw(70, size=(3000, 2400)).save(file, "JPEG", exif=exif, comment=b"secret")
    client.put("/v1/image", params={"id": "big"}, files={"image": ("b.jpg", file.getvalue())})
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("/v1/image/thumbnail", {"id": "big", "side": 100}, 100),
        ("/v1/image/thumbnail", {"id": "big", "side": 1024}, 1024),
        ("/v1/image/file", {"id": "big"}, 2048),
    ]
    for path, params, side in cases:
        answer = client.get(path, params=params)
        with Image.open(BytesIO(answer.content)) as image:
            assert max(image.size) == side
            assert not image.getexif()
            assert "comment" not in image.info
        assert answer.headers["cache-control"].startswith("private, max-age=")
        tag = answer.headers["etag"]
        again = client.get(path, params=params, headers={"if-none-match": f'"x", W/{tag}'})
        assert (again.status_code, again.content) == (304, b"")
    client.put("/v1/image", params={"id": "big"}, files={"image": ("b.png", picture(71))})
    assert client.get(path, params=params, headers={"if-none-match": tag}).status_code == 200


def test_an_image_whose_file_is_missing_is_not_found(client: httpx.Client, folder: Path) -> None:
    (folder / "photos" / "005.jpg").unlink()
    answer = client.get("/v1/image/file", params={"id": "5"})
    assert (answer.status_code, answer.json()["error"]) == (404, "NotFound")


def test_concurrent_changes_of_one_image(client: httpx.Client, folder: Path) -> None:
    statuses: list[int] = []
    before = stored(folder)

    def change(seed: int) -> None:
        with httpx.Client(base_url=client.base_url, timeout=30) as session:
            for _ in range(3):
                put = session.put(
                    "/v1/image", params={"id": "same"}, files={"image": ("x.png", picture(seed))}
                )
                patch = session.patch(
                    "/v1/image", params={"id": "same"}, json={"fields": {"price": seed}}
                )
                statuses.extend([put.status_code, patch.status_code])

    threads = [threading.Thread(target=change, args=(seed,)) for seed in range(80, 86)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    payload = client.get("/v1/image", params={"id": "same"}).json()["payload"]
    assert stored(folder) - before == {payload["image"]["sha256"]}


def test_items_must_match_the_files(client: httpx.Client) -> None:
    files = [("files", ("a.png", picture(1)))]
    for items, status in (
        ("[]", 400),
        ("{", 422),
        ('[{"uri": "/etc/passwd"}]', 422),
        ('[{"id": NaN}]', 422),
        ('[{"fields": {"price": NaN}}]', 400),
        ("[" * 100_000, 422),
    ):
        answer = client.post("/v1/images", files=files, data={"items": items})
        assert answer.status_code == status, answer.text
    twice = [("files", ("a.png", picture(1))), ("files", ("b.png", picture(2)))]
    same = client.post("/v1/images", files=twice, data={"items": '[{"id": "z"}, {"id": "z"}]'})
    assert same.status_code == 400


def test_equal_files_are_added_once_and_the_others_reported_as_copies(
    client: httpx.Client, folder: Path
) -> None:
    before = stored(folder)
    one, other = picture(300), picture(301)
    sent = [("a.png", one), ("b.png", other), ("c.png", one), ("d.txt", b"x"), ("e.txt", b"x")]
    answer = client.post("/v1/images", files=[("files", file) for file in sent])
    report = answer.json()
    first, second = sha256(one).hexdigest(), sha256(other).hexdigest()
    assert report["ids"] == [first, second, first, None, None]
    assert (report["added"], report["skipped"], report["rejected"]) == (2, 1, 2)
    assert report["copies"] == [{"uri": "c.png", "of": first, "verdict": "identical"}]
    assert [reject["uri"] for reject in report["rejects"]] == ["d.txt", "e.txt"]
    assert stored(folder) - before == {first, second}
    bad = client.post("/v1/images", files=[("files", file) for file in sent[3:]])
    assert (bad.status_code, bad.json()["rejected"]) == (422, 2)


def test_without_an_upload_folder_images_are_refused(index: Index, tmp_path: Path) -> None:
    with serving(index, options(tmp_path, uploads=None)) as client:
        answer = client.post("/v1/images", files=[("files", ("a.png", picture(1)))])
        assert (answer.status_code, answer.json()["error"]) == (403, "Forbidden")


def test_after_many_uploads_the_index_is_optimized(client: httpx.Client, index: Index) -> None:
    files = [("files", (f"{seed}.png", picture(seed))) for seed in range(200, 235)]
    assert client.post("/v1/images", files=files).json()["added"] == 35
    assert "optimize" in {job["kind"] for job in client.get("/v1/jobs").json()["jobs"]}
    ends = time.monotonic() + 20
    while not index.is_calibrated and time.monotonic() < ends:
        time.sleep(0.05)
    assert index.is_calibrated
