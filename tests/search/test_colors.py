"""Colors in words: single ones, shades of a term, and palettes with shares."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.descriptors.color import Color
from lookalike.errors import QueryError
from lookalike.imaging import palette
from lookalike.imaging.color_terms import basic_terms, memberships
from lookalike.search.color_gate import ColorGate, term_of
from lookalike.search.colors import parse_palette, shades, swatches
from lookalike.search.request import ColorInput

NAVY, LIME, TEAL = (term_of(name).shades[0] for name in ("navy", "lime", "teal"))


def test_colors_by_name_and_number() -> None:
    assert shades("Navy")[0] == NAVY
    assert shades("#1a2b3c") == ((26, 43, 60),)
    assert shades("lightgray") == shades("lightgrey")


@pytest.mark.parametrize(
    ("spellings", "term"),
    [
        (("navy", "NAVY", " navies ", "navy blue", "Navy-Blue", "navi"), "navy"),
        (("grey", "gray", "Greys", "GRAY"), "grey"),
        (("light gray", "light grey", "pale grey"), "light grey"),
        (("off white", "off-white", "offwhite"), "off-white"),
        (("burgundy", "burgandy", "oxblood"), "burgundy"),
        (("turquoise", "turqoise"), "turquoise"),
        (("multicolor", "multicoloured", "multi"), "multicolor"),
        (("lavender", "lavendar"), "lavender"),
    ],
)
def test_spellings(spellings: tuple[str, ...], term: str) -> None:
    assert {term_of(spelling).name for spelling in spellings} == {term}


def test_terms_are_unambiguous_and_hold_their_own_shades() -> None:
    for name in ("navy", "khaki", "maroon", "lavender", "gold", "charcoal", "cream", "teal"):
        term = term_of(name)
        assert memberships(term.shades, np.array(term.shades)).min() == 1
        assert set(basic_terms(term)) >= {palette.color_term(shade) for shade in term.shades}


@pytest.mark.parametrize(
    ("term", "inside", "outside"),
    [
        ("navy", "22396b 1f2a4d", "4169e1 2d5ca6 77509f ffffff"),
        ("khaki", "c3b091 a89a74", "ffe860 f0d358 00ff00"),
        ("maroon", "6a1420 5e141c", "ff0000 cb3a33"),
        ("lavender", "c4b4e0", "ffffff fbfaf7 77509f"),
        ("gold", "c9a549 d4af37", "ffff14 fce010"),
        ("cream", "f4ecd8", "ffffff ffff14"),
        ("charcoal", "3c3f44", "000000 d0d1d2"),
    ],
)
def test_a_term_is_the_region_that_people_call_so(term: str, inside: str, outside: str) -> None:
    shades_ = term_of(term).shades
    for text, extent in ((inside, 1), (outside, 0)):
        colors = np.array([palette.rgb_of(code) for code in text.split()])
        assert memberships(shades_, colors).tolist() == [extent] * len(colors), text


def _payload(**shares: float) -> dict[str, Any]:
    codes = {"blue": "#22396b", "white": "#fbfaf7", "grey": "#8b8d8f", "brown": "#b46a38",
             "orange": "#d8702b", "red": "#cb3a33"}  # fmt: skip
    return {
        "image": {
            "colors": [{"name": n, "hex": codes[n], "share": share} for n, share in shares.items()]
        }
    }


@pytest.mark.parametrize(
    ("words", "shares", "extent"),
    [
        ("blue", {"blue": 0.5, "red": 0.5}, 1),  # half blue is blue
        ("blue", {"blue": 0.9, "white": 0.1}, 1),
        ("blue", {"red": 0.75, "blue": 0.25}, 0.5),
        ("navy", {"blue": 0.25, "red": 0.75}, 0.5),
        ("red", {"blue": 1.0}, 0),
        (["blue", "red"], {"blue": 0.7, "red": 0.25}, 1),
        (["blue", "red"], {"blue": 1.0}, 0),
        ("orange", {"orange": 0.45, "brown": 0.5}, 1),  # brown is orange in shadow
        ("brown", {"orange": 0.45, "brown": 0.5}, 0),
        ("brown", {"brown": 0.9, "orange": 0.1}, 1),
        ("grey", {"white": 0.5, "grey": 0.5}, 0),
        ("multicolor", {"blue": 0.4, "red": 0.3, "white": 0.3}, 1),
        ("multicolor", {"blue": 1.0}, 0),
    ],
)
def test_extent(words: Any, shares: dict[str, float], extent: float) -> None:
    gate = ColorGate.of(words)
    assert gate is not None
    assert gate.extent(_payload(**shares)) == pytest.approx(extent)


def test_a_palette_with_shares_is_no_condition() -> None:
    assert ColorGate.of(["navy=0.6", "white"]) is None
    assert ColorGate.of({"navy": 1.0}) is None


def test_a_basic_term_means_all_its_shades() -> None:
    assert shades("gray") == shades("grey")
    assert len(shades("blue")) > 5
    parsed = parse_palette(["blue", "navy"])
    assert math.fsum(share for _, share in parsed) == pytest.approx(1)
    assert parsed[-1] == (NAVY, 0.5)
    assert len({share for _, share in parsed[:-1]}) == 1  # its shades share alike


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("navy", [(NAVY, 1)]),
        ("navy=0.3", [(NAVY, 1)]),  # alone it is all there is
        (" navy = 0.3 ", [(NAVY, 1)]),
        (["navy", "lime"], [(NAVY, 0.5), (LIME, 0.5)]),
        (["navy=0.6", "lime=0.2"], [(NAVY, 0.75), (LIME, 0.25)]),
        (["navy=60", "lime=20"], [(NAVY, 0.75), (LIME, 0.25)]),
        ({"navy": 3, "lime": 1}, [(NAVY, 0.75), (LIME, 0.25)]),
        (["navy=0.6", "lime", "teal"], [(NAVY, 0.6), (LIME, 0.2), (TEAL, 0.2)]),
        (["navy", "navy"], [(NAVY, 0.5), (NAVY, 0.5)]),
    ],
)
def test_shares(given: ColorInput, expected: list[tuple[tuple[int, int, int], float]]) -> None:
    parsed = parse_palette(given)
    assert [rgb for rgb, _ in parsed] == [rgb for rgb, _ in expected]
    assert [share for _, share in parsed] == pytest.approx([share for _, share in expected])


@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=5))
def test_shares_always_add_up_to_one_in_proportion(shares: list[float]) -> None:
    parsed = parse_palette([f"#00000{i}={share!r}" for i, share in enumerate(shares)])
    assert math.fsum(share for _, share in parsed) == pytest.approx(1)
    for (_, found), share in zip(parsed, shares, strict=True):
        assert found == pytest.approx(share / math.fsum(shares))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nvay", "no color 'nvay'; did you mean navy"),
        ("#12", "no color '#12'; try red"),
        ("=0.5", "no color ''"),
        ("navy=x", "'navy=x' is not a color with a share: write it as in navy=0.6"),
        ("navy=", "'navy=' is not a color with a share"),
        ("navy=0", "The share of navy is 0: give a number above 0"),
        (["lime", "navy=-0.2"], r"The share of navy is -0\.2"),
        ("navy=nan", "The share of navy is nan"),
        ({"navy": math.inf}, "The share of navy is inf"),
        (["navy=0.7", "lime=0.3", "teal"], "add up to 1 and leave nothing for teal"),
        (["navy=60", "teal"], "add up to 60 and leave nothing for teal"),
        ("rgb(300,0,0)", r"no color 'rgb\(300,0,0\)'"),
    ],
)
def test_what_is_no_palette(given: ColorInput, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        parse_palette(given)


def test_a_palette_is_nearest_to_its_larger_color() -> None:
    describe = Color().describe_color
    mixed = describe(parse_palette(["navy=0.8", "white=0.2"]))
    navy, white = describe([(NAVY, 1)]), describe(parse_palette("white"))
    assert mixed @ navy > mixed @ white > navy @ white
    even = describe(parse_palette(["navy", "white"]))
    assert even @ white > mixed @ white


def test_swatches_show_the_most_typical_shade() -> None:
    assert swatches("navy=0.6") == ["#22396b"]
    assert swatches(["navy", "#FFF"]) == ["#22396b", "#ffffff"]
    assert swatches({"blue": 1}) == ["#{:02x}{:02x}{:02x}".format(*shades("blue")[0])]
