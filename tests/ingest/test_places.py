"""Places of photos: stored by an index that was made to, and by no other."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD

from lookalike import Index
from lookalike.errors import FilterError, InputError, QueryError
from tests.support.command_line import documents, error, lookalike

PARIS, SYDNEY = (48.8584, 2.2945), (-33.8568, 151.2153)


def photo(path: Path, place: tuple[float, float] | None) -> None:
    exif = Image.Exif()
    if place is not None:
        latitude, longitude = place
        exif.get_ifd(IFD.GPSInfo).update(
            {
                GPS.GPSLatitudeRef: "S" if latitude < 0 else "N",
                GPS.GPSLatitude: (abs(latitude), 0.0, 0.0),
                GPS.GPSLongitudeRef: "E",
                GPS.GPSLongitude: (longitude, 0.0, 0.0),
            }
        )
    color = tuple(path.stem.encode()[:3])
    Image.new("RGB", (64, 48), color).save(path, exif=exif)


@pytest.fixture
def trip(tmp_path: Path) -> Path:
    folder = tmp_path / "trip"
    folder.mkdir()
    for name, place in (("paris", PARIS), ("sydney", SYDNEY), ("nowhere", None)):
        photo(folder / f"{name}.jpg", place)
    return folder


def names(index: Index, where: str) -> set[str]:
    return {Path(point.id).stem for point in index.scroll(where)}


def test_photos_are_found_around_a_place(trip: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "i", model="built-in", gps=True) as index:
        index.add(trip)
        assert names(index, "image.gps within 2 km of 48.85, 2.29") == {"paris"}
        assert names(index, "image.gps within 100m of 48.85, 2.29") == set()
        assert names(index, "image.gps not within 2 km of 48.85, 2.29") == {"sydney", "nowhere"}
        assert names(index, "image.gps is null") == {"nowhere"}
        filter = {"key": "image.gps", "geo_radius": {"center": {"lat": -34, "lon": 151}}}
        filter["geo_radius"]["radius"] = 50_000  # type: ignore[index]
        (hit,) = index.search(color="red", where={"must": [filter]})
        assert hit.payload["image"]["gps"] == pytest.approx({"lat": SYDNEY[0], "lon": SYDNEY[1]})
        for refused in (
            lambda: index.facets("image.gps"),
            lambda: index.histogram("image.gps"),
            lambda: index.search(sort="image.gps"),
            lambda: index.search(color="red", collapse="image.gps"),
        ):
            with pytest.raises(QueryError, match=r"image\.gps"):
                refused()
    with Index.open(tmp_path / "i") as again:  # the index remembers it
        photo(trip / "sydney.jpg", PARIS)
        again.add(trip)
        assert names(again, "image.gps within 2 km of 48.85, 2.29") == {"paris", "sydney"}


def test_places_are_private_unless_asked_for(trip: Path, tmp_path: Path) -> None:
    with Index.open(tmp_path / "i", model="built-in") as index:
        index.add(trip)
        assert all("gps" not in point.payload["image"] for point in index)
        with pytest.raises(FilterError, match="not stored in this index"):
            index.count("image.gps is not null")
    with pytest.raises(InputError, match="stores no places"):
        Index.open(tmp_path / "i", gps=True)


def test_places_on_the_command_line(trip: Path, tmp_path: Path) -> None:
    index = ("--index", tmp_path / "i")
    lookalike("index", trip, *index, "--model", "built-in", "--gps")
    around = "image.gps within 2 km of 48.8584, 2.2945"
    (hit,) = documents("search", "--color", "red", *index, "--where", around)["hits"]
    assert Path(hit["id"]).stem == "paris"
    lookalike("backup", tmp_path / "b.lookalike", *index)
    lookalike("restore", tmp_path / "b.lookalike", "--index", tmp_path / "j")
    (hit,) = documents("search", "--color", "red", "--index", tmp_path / "j", "--where", around)[
        "hits"
    ]
    shown = lookalike("export", "-", *index).stdout.splitlines()
    assert {json.loads(row).get("image.gps") for row in shown} >= {"48.8584, 2.2945", None}
    assert "within 2 km" in error("search", "--color", "red", *index, "--where", "image.gps = 5")
