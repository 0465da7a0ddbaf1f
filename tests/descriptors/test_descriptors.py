"""What each descriptor without a model promises of its own; what all share is in contract/."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import imagehash
import numpy as np
import PIL.Image
import PIL.ImageColor
import pytest
from numpy.typing import NDArray

import lookalike
from lookalike.descriptors import lookalike_small_1
from lookalike.descriptors.color import Color
from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
from lookalike.descriptors.phash import Phash, scale
from lookalike.descriptors.texture import Texture
from lookalike.imaging import palette
from lookalike.protocols import DescribesColor, Descriptor
from lookalike.types import Distance, Image, Pixels, Vector
from tests.support.pictures import folder_of

GOLDEN = Path(__file__).parent / "golden"
ALL: list[Descriptor] = [Color(), Texture(), LookalikeSmall1(), Phash()]
each = pytest.mark.parametrize("descriptor", ALL, ids=lambda d: d.spec.name)

Rgb = tuple[int, int, int]
KINDS = ("ketch", "leopards", "pagoda", "pizza", "saxophone", "sunflower")
WHITE, RED, NAVY, WOOD = (255, 255, 255), (200, 30, 40), (25, 30, 80), (196, 160, 120)


def image(pixels: Pixels, alpha: NDArray[np.uint8] | None = None) -> Image:
    height, width = pixels.shape[:2]
    return Image(pixels, alpha, width, height, "PNG", "", 0, None)


def vector(
    descriptor: Descriptor, pixels: Pixels, alpha: NDArray[np.uint8] | None = None
) -> Vector:
    row: Vector = descriptor.describe([image(pixels, alpha)]).vectors[0]
    return row


def colors(pixels: Pixels, alpha: NDArray[np.uint8] | None = None) -> dict[str, float]:
    payload = Color().describe([image(pixels, alpha)]).payload[0]
    return {color["name"]: color["share"] for color in payload["colors"]}


def flat(color: Rgb, height: int = 200, width: int = 160) -> Pixels:
    return np.full((height, width, 3), color, np.uint8)


def shirt(color: Rgb, background: Rgb) -> Pixels:
    """A plain shirt in the middle, with the grain of a camera."""
    pixels = flat(background)
    pixels[40:160, 50:110] = color
    pixels[40:75, 25:135] = color
    grain = np.random.default_rng(1).normal(0, 3, pixels.shape)
    return np.asarray(np.clip(pixels + grain, 0, 255), np.uint8)


def scene(seed: int) -> Pixels:
    """Smooth blobs of color with a fine pattern: no two seeds alike."""
    rng = np.random.default_rng(seed)
    blobs = cv2.resize(rng.integers(0, 256, (5, 4, 3), dtype=np.uint8), (160, 200))
    weave = (np.indices((200, 160)).sum(axis=0) // int(rng.integers(2, 6)) % 2 * 40)[..., None]
    return np.asarray(np.clip(blobs.astype(int) + weave - 20, 0, 255), np.uint8)


def jpeg(pixels: Pixels) -> Pixels:
    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "JPEG", quality=75)
    return np.asarray(PIL.Image.open(buffer))


def cropped(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels[height // 50 :, width // 50 :]


def mirrored(pixels: Pixels) -> Pixels:
    return np.ascontiguousarray(pixels[:, ::-1])


# --- what a vector must be ------------------------------------------------------------------


@each
@pytest.mark.parametrize(
    ("height", "width"), [(1, 1), (2, 3), (3, 2), (1, 100), (100, 1), (7, 640), (260, 346)]
)
def test_any_shape_and_content_gives_a_usable_vector(
    descriptor: Descriptor, height: int, width: int
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    opaque, clear = np.full((height, width), 255, np.uint8), np.zeros((height, width), np.uint8)
    pictures = [
        *(image(flat(color, height, width)) for color in (WHITE, (0, 0, 0), (128, 128, 128), RED)),
        *(image(noise, alpha) for alpha in (None, opaque, clear)),
    ]
    vectors = descriptor.describe(pictures).vectors
    assert vectors.shape == (len(pictures), descriptor.spec.size)
    assert vectors.dtype == np.float32
    assert np.isfinite(vectors).all()
    if descriptor.spec.distance is Distance.COSINE:
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    else:
        assert set(np.unique(vectors)) <= {0.0, 1.0}


@each
def test_no_images_give_no_rows(descriptor: Descriptor) -> None:
    assert descriptor.describe([]).vectors.shape == (0, descriptor.spec.size)


@each
def test_golden_vectors(descriptor: Descriptor) -> None:
    """Pins what an index on disk holds: where this changes, so must the spec's revision."""
    golden = json.loads((GOLDEN / f"{descriptor.spec.name}.json").read_text())
    assert golden["revision"] == descriptor.spec.revision
    for name, pixels in (("scene", scene(3)), ("shirt", shirt(RED, WOOD))):
        # Another processor may round a pixel the other way.
        np.testing.assert_allclose(vector(descriptor, pixels), golden[name], atol=0.01)


def test_the_built_in_model_gives_what_exact_sums_give() -> None:
    """Some processors' fast sums of 8-bit products are cut off: noise is where it shows most."""
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    exact = lookalike_small_1.open_network(lookalike_small_1.WEIGHTS.read_bytes(), exact=True)
    wanted = exact.run(None, {"pixels": noise[None]})[0][0]
    np.testing.assert_allclose(vector(LookalikeSmall1(), noise), wanted, atol=1e-5)
    # Were the numbers wrong, the exact sums would be taken everywhere, at half the speed.
    probed = exact.run(None, {"pixels": lookalike_small_1.probe()})[0][0]
    known = lookalike_small_1.PROBE_RESULT
    np.testing.assert_allclose(probed[: len(known)], known, atol=1e-5)


@each
def test_threads_get_the_same_vectors_as_one_alone(descriptor: Descriptor) -> None:
    pictures = [image(scene(seed)) for seed in range(24)]
    alone = descriptor.describe(pictures).vectors
    with ThreadPoolExecutor(8) as pool:
        rows = list(pool.map(lambda one: descriptor.describe([one]).vectors[0], pictures * 4))
    np.testing.assert_array_equal(rows, np.tile(alone, (4, 1)))


@pytest.mark.parametrize(
    ("descriptor", "change"),
    [(d, change) for d in ALL for change in (jpeg, cropped)]
    + [(d, mirrored) for d in ALL[:3]],  # a mirrored picture has another perceptual hash
    ids=lambda value: value.spec.name if hasattr(value, "spec") else value.__name__,
)
def test_a_changed_copy_is_nearer_than_any_other_photo(
    descriptor: Descriptor, change: Callable[[Pixels], Pixels], data: Path
) -> None:
    photos = sample(data, 40)
    originals = descriptor.describe([image(p) for p in photos]).vectors
    copies = descriptor.describe([image(change(p)) for p in photos]).vectors
    far = np.linalg.norm(copies[:, None] - originals[None], axis=2)
    nearest = far.argmin(axis=1) == np.arange(len(photos))
    # The finest texture depends on how the sampling falls on it, which a crop shifts.
    assert nearest.mean() >= (0.85 if descriptor is ALL[1] and change is cropped else 1.0)


def sample(data: Path, count: int) -> list[Pixels]:
    files = sorted((data / "catalog" / "images").rglob("*.jpg"))
    step = len(files) // count
    return [np.asarray(PIL.Image.open(file).convert("RGB")) for file in files[::step][:count]]


# --- color ---------------------------------------------------------------------------------


def test_background_does_not_count() -> None:
    on_white, on_wood, navy = (
        vector(Color(), shirt(*colors)) for colors in ((RED, WHITE), (RED, WOOD), (NAVY, WHITE))
    )
    assert on_white @ on_wood > 0.9
    assert on_white @ navy < 0.3


def test_a_white_print_before_a_white_wall_counts() -> None:
    pixels = shirt(RED, WHITE)
    pixels[90:130, 65:95] = WHITE
    assert colors(pixels)["white"] == pytest.approx(1200 / (7200 + 1750), abs=0.03)


def test_transparent_pixels_do_not_count() -> None:
    pixels, alpha = flat(NAVY), np.zeros((200, 160), np.uint8)
    pixels[50:150, 40:120], alpha[50:150, 40:120] = RED, 255
    assert colors(pixels, alpha) == {"red": 1.0}
    hidden = np.where(alpha[..., None] > 0, pixels, np.uint8(255))
    assert vector(Color(), pixels, alpha) @ vector(Color(), hidden, alpha) == pytest.approx(1)


def test_shares_are_of_the_foreground_and_largest_first() -> None:
    pixels = shirt(NAVY, WHITE)
    pixels[115:160, 50:110] = (230, 200, 20)
    found = colors(pixels)
    assert list(found) == ["blue", "yellow"]
    assert found["yellow"] == pytest.approx(2700 / 8950, abs=0.03)


def test_dominant_hex_is_the_color_itself() -> None:
    payload = Color().describe([image(flat(RED))]).payload[0]
    (red,) = payload["colors"]
    off = np.subtract(PIL.ImageColor.getrgb(red["hex"])[:3], RED)
    assert abs(off).max() <= 3


@pytest.mark.parametrize("wanted", ["red", "navy", "forestgreen", "gold", "hotpink", "purple"])
def test_a_named_color_finds_what_has_it(wanted: str) -> None:
    others = ["red", "navy", "forestgreen", "gold", "hotpink", "purple", "black", "white", "gray"]
    shirts = [shirt(rgb(other), WOOD) for other in others]
    target = Color().describe_color([(rgb(wanted), 1.0)])
    assert np.linalg.norm(target) == pytest.approx(1, abs=1e-5)
    cosines = Color().describe([image(s) for s in shirts]).vectors @ target
    assert others[int(cosines.argmax())] == wanted


def test_a_palette_finds_the_mix_before_its_parts() -> None:
    both = shirt(RED, WOOD)
    both[100:160, 50:110] = NAVY
    pictures = [both, shirt(RED, WOOD), shirt(NAVY, WOOD)]
    cosines = Color().describe([image(p) for p in pictures]).vectors @ Color().describe_color(
        [(RED, 0.6), (NAVY, 0.4)]
    )
    assert cosines.argmax() == 0


def test_a_palette_without_shares_is_refused() -> None:
    with pytest.raises(ValueError, match="share above zero"):
        Color().describe_color([(RED, 0.0)])


def test_color_is_found_as_describing_colors() -> None:
    assert isinstance(Color(), DescribesColor)


def rgb(name: str) -> Rgb:
    red, green, blue = PIL.ImageColor.getrgb(name)[:3]
    return red, green, blue


NAMES = {
    "black": "black",
    "white": "white ivory snow whitesmoke beige linen",
    "grey": "gray silver lightgray dimgray slategray",
    "red": "red darkred maroon crimson firebrick",
    "green": "green olive olivedrab darkgreen lime seagreen teal turquoise",
    "yellow": "yellow gold khaki",
    "blue": "blue navy midnightblue royalblue skyblue steelblue cyan lightblue",
    "brown": "saddlebrown sienna tan darkkhaki peru #c3b091",
    "purple": "purple indigo orchid lavender violet",
    "pink": "pink hotpink deeppink lightpink salmon",
    "orange": "orange darkorange coral tomato",
}


@pytest.mark.parametrize(
    ("color", "term"), [(color, term) for term, names in NAMES.items() for color in names.split()]
)
def test_colors_have_the_names_people_give_them(color: str, term: str) -> None:
    assert palette.color_term(rgb(color)) == term


@pytest.mark.parametrize("term", palette.TERMS)
def test_the_typical_color_of_a_term_has_that_name_in_a_picture_too(term: str) -> None:
    assert palette.color_term(palette.SHADES[term][0]) == term
    assert colors(flat(palette.SHADES[term][0])) == {term: 1.0}


# --- texture --------------------------------------------------------------------------------


def stripes(period: int, dark: Rgb, light: Rgb) -> Pixels:
    on = np.indices((200, 160))[0] // period % 2
    return np.where(on[..., None] > 0, np.array(light), np.array(dark)).astype(np.uint8)


def test_texture_does_not_see_color_but_the_pattern() -> None:
    blue, red, wide = (
        vector(Texture(), stripes(*pattern))
        for pattern in ((4, NAVY, WHITE), (4, (60, 0, 0), (240, 120, 90)), (16, NAVY, WHITE))
    )
    assert blue @ red > 0.98
    assert blue @ wide < 0.9


def test_textures_of_any_two_photos_are_far_enough_apart_for_int8(data: Path) -> None:
    """Eight bits err by 0.003; cosines within 0.95 ± 0.03 would drown in that."""
    vectors = Texture().describe([image(p) for p in sample(data, 40)]).vectors
    cosines = (vectors @ vectors.T)[np.triu_indices(40, 1)]
    assert cosines.mean() < 0.65
    assert cosines.std() > 0.13


def test_a_cameras_noise_is_no_texture() -> None:
    rng = np.random.default_rng(0)
    walls = [rng.normal(128, spread, (200, 160, 3)).astype(np.uint8) for spread in (0.5, 1, 1, 2)]
    vectors = Texture().describe([image(wall) for wall in walls]).vectors
    assert (vectors @ vectors.T).min() > 0.95


def test_plain_surfaces_have_one_texture() -> None:
    assert vector(Texture(), flat(WHITE)) @ vector(Texture(), flat(RED)) == pytest.approx(1)


# --- the built-in model ---------------------------------------------------------------------


def test_what_is_of_one_kind_is_near(data: Path) -> None:
    """The network knows things: most of the nearest five of a photo show what it shows."""
    with (data / "photos" / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"] in KINDS]
    pictures = [
        image(np.asarray(PIL.Image.open(data / "photos" / row["file"]).convert("RGB")))
        for row in rows
    ]
    labels = np.array([row["label"] for row in rows])
    vectors = LookalikeSmall1().describe(pictures).vectors
    nearest = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1:6]
    assert (labels[nearest] == labels[:, None]).mean() > 0.6


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_a_damaged_package_says_so(damage: str, tmp_path: Path) -> None:
    package = shutil.copytree(Path(lookalike.__file__).parent, tmp_path / "lookalike")
    weights = package / "descriptors" / "lookalike-small-1.onnx"
    content = weights.read_bytes()
    weights.unlink() if damage == "missing" else weights.write_bytes(content[:100_000])
    command = ["index", str(folder_of(tmp_path / "photos", 2)), "--index", str(tmp_path / "index")]
    ran = subprocess.run(
        [sys.executable, "-m", "lookalike", *command, "--model", "built-in"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert "lookalike-small-1.onnx is missing or damaged: install lookalike again" in line


def test_a_long_picture_is_averaged_for_the_built_in_model() -> None:
    """Nothing of it falls between the pixels that are looked at."""
    stripes = np.zeros((128, 1024, 3), np.uint8)
    stripes[:, ::8] = 255
    grey = np.full((128, 128, 3), 32, np.uint8)
    built_in = LookalikeSmall1()
    assert vector(built_in, stripes) @ vector(built_in, grey) > 0.99


# --- phash ----------------------------------------------------------------------------------


def reference(pixels: Pixels) -> str:
    return str(imagehash.phash(PIL.Image.fromarray(pixels)))


@pytest.mark.parametrize("height", [1, 20, 32, 33, 64, 200, 346, 512, 513])
def test_phash_scales_as_pillow_does(height: int) -> None:
    """Noise of black and white: no filter has more to round and to clip."""
    noise = np.random.default_rng(height)
    for width in (1, 31, 32, 64, 65, 133, 231, 256, 345, 512, 513):
        black_or_white = noise.integers(0, 2, (height, width), np.uint8) * np.uint8(255)
        grey = PIL.Image.fromarray(black_or_white)
        small = np.asarray(grey.resize((32, 32), PIL.Image.Resampling.LANCZOS))
        np.testing.assert_array_equal(scale(grey), small)


def test_phash_equals_imagehash_on_photos(data: Path) -> None:
    photos = sample(data, 150)
    found = [row["phash"] for row in Phash().describe([image(p) for p in photos]).payload]
    assert found == [reference(p) for p in photos]


@pytest.mark.parametrize(
    "pixels",
    [
        *(flat(color, *size) for color in (WHITE, (0, 0, 0), RED) for size in ((1, 1), (50, 9))),
        stripes(16, NAVY, WHITE),
        np.concatenate((scene(1), mirrored(scene(1))), axis=1),
        np.repeat(np.repeat(np.arange(0, 256, 2, dtype=np.uint8)[None, :, None], 64, 0), 3, 2),
    ],
    ids=["white 1", "white", "black 1", "black", "red 1", "red", "stripes", "mirrored", "ramp"],
)
def test_phash_equals_imagehash_where_bits_tie(pixels: Pixels) -> None:
    assert Phash().describe([image(pixels)]).payload[0]["phash"] == reference(pixels)


def test_phash_vector_holds_the_bits_of_its_payload() -> None:
    description = Phash().describe([image(scene(5))])
    bits = "".join(str(int(bit)) for bit in description.vectors[0])
    assert int(bits, 2) == int(description.payload[0]["phash"], 16)
