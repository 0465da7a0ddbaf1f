"""Color: the histogram of the foreground, its dominant colors and their names."""

from __future__ import annotations

import numpy as np
import PIL.ImageColor
import pytest
from numpy.typing import NDArray

from lookalike.descriptors.color import Color
from lookalike.imaging import palette
from lookalike.protocols import DescribesColor
from lookalike.types import Pixels
from tests.descriptors.samples import NAVY, RED, WHITE, WOOD, flat, image, rgb, shirt, vector


def colors(pixels: Pixels, alpha: NDArray[np.uint8] | None = None) -> dict[str, float]:
    payload = Color().describe([image(pixels, alpha)]).payload[0]
    return {color["name"]: color["share"] for color in payload["colors"]}


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
    shares = colors(pixels)
    assert list(shares) == ["blue", "yellow"]
    assert shares["yellow"] == pytest.approx(2700 / 8950, abs=0.03)


def test_dominant_hex_is_the_color_itself() -> None:
    payload = Color().describe([image(flat(RED))]).payload[0]
    (red,) = payload["colors"]
    difference = np.subtract(PIL.ImageColor.getrgb(red["hex"])[:3], RED)
    assert abs(difference).max() <= 3


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
