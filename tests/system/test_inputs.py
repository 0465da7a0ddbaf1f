"""Ids and images in every form that callers have them."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from PIL import Image

from lookalike.errors import ImageRejected, InputError
from lookalike.imaging.decode import decode
from lookalike.system.inputs import id_of, ids_of, plain_image, plain_images
from lookalike.types import DecodeLimits
from tests.support.pictures import draw

ROOT = UUID(int=7)


@pytest.mark.parametrize(
    ("value", "text"),
    [("12", "12"), (12, "12"), (np.int64(12), "12"), (np.str_("a"), "a"), (ROOT, str(ROOT))],
)
def test_an_id_is_one_text(value: Any, text: str) -> None:
    assert id_of(value) == text
    assert ids_of(value) == [text]
    assert ids_of([value, "b"]) == ids_of(iter([value, "b"])) == [text, "b"]
    assert type(id_of(value)) is str


@pytest.mark.parametrize("value", [1.5, True, b"12", None, object(), ["1", "2"]])
def test_other_values_are_no_id(value: Any) -> None:
    with pytest.raises(InputError, match="An id is a text, a whole number or a UUID"):
        id_of(value)
    with pytest.raises(InputError, match="An id is"):
        ids_of([value])


def forms(folder: Path) -> dict[str, Any]:
    """One picture in every form."""
    picture = draw(3)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    path = folder / "picture.png"
    path.write_bytes(buffer.getvalue())
    pixels = np.asarray(picture)
    return {
        "path": path,
        "text": str(path),
        "bytes": path.read_bytes(),
        "bytearray": bytearray(path.read_bytes()),
        "memoryview": memoryview(path.read_bytes()),
        "file": path.open("rb"),
        "buffer": io.BytesIO(path.read_bytes()),
        "picture": picture,
        "opened picture": Image.open(path),
        "array": pixels,
        "channels first": np.moveaxis(pixels, 2, 0),
        "floats": pixels.astype(np.float32) / 255,
        "wider numbers": pixels.astype(np.int64),
        "not contiguous": np.repeat(pixels, 2, axis=1)[:, ::2],
    }


def test_every_form_has_the_same_pixels(tmp_path: Path) -> None:
    expected = np.asarray(draw(3))
    for name, form in forms(tmp_path).items():
        plain = plain_image(form)
        data = plain if isinstance(plain, bytes) else Path(plain).read_bytes()
        image = decode(data, limits=DecodeLimits(), side=1000)
        assert np.array_equal(image.pixels, expected), name


def test_one_image_and_several(tmp_path: Path) -> None:
    for name, form in forms(tmp_path).items():
        assert len(plain_images(form)) == 1, name
        assert len(plain_images([form, draw(4)])) == 2, name
    assert plain_images(None) == []
    assert len(plain_images(np.zeros((5, 8, 8, 3), np.uint8))) == 5
    assert plain_images(iter(["a", "b"])) == plain_images(np.array(["a", "b"])) == ["a", "b"]


def test_pictures_keep_orientation_and_color(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(1).save(tmp_path / "turned.jpg", exif=exif)
    data = plain_image(Image.open(tmp_path / "turned.jpg"))
    assert isinstance(data, bytes)
    turned = decode(data, limits=DecodeLimits(), side=1000)
    assert (turned.width, turned.height) == (160, 120)
    for mode in ("CMYK", "LAB", "YCbCr", "L", "1", "P", "RGBA"):
        source = Image.new("RGB", (64, 64), (200, 30, 30))
        profile = source.convert("RGB") if mode == "LAB" else source.convert(mode)
        assert plain_image(profile)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.zeros((5, 4, 7), np.uint8), r"shape .* this one \(5, 4, 7\)"),
        (np.zeros((0, 4), np.uint8), "shape"),
        (np.zeros(4, np.uint8), "shape"),
        (np.full((4, 4), 300), "from 0 to 255"),
        (np.full((4, 4), np.nan), "from 0 to 1"),
        (np.full((4, 4), -0.5), "from 0 to 1"),
        (io.StringIO("text"), 'mode "rb"'),
        (7, r"got 7\)"),
        ({"a": 1}, "got a dict"),
        (object(), "got an object"),
    ],
)
def test_what_is_no_image_is_refused_in_a_line(value: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        plain_image(value)
    assert len(str(caught.value)) < 200


def test_a_damaged_picture_is_rejected(tmp_path: Path) -> None:
    draw(1, size=(400, 400)).save(tmp_path / "cut.png")
    data = (tmp_path / "cut.png").read_bytes()
    picture = Image.open(io.BytesIO(data[: len(data) // 2]))
    with pytest.raises(ImageRejected, match="does not load"):
        plain_image(picture)
