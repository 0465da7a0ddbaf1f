"""Colors in words: single ones, shades of a term, and palettes with shares."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.descriptors.color import Color
from lookalike.errors import QueryError
from lookalike.search.colors import parse_palette, shades, swatches
from lookalike.search.request import ColorInput


def test_colors_by_name_and_number() -> None:
    assert shades("Navy") == ((0, 0, 128),)
    assert shades("#1a2b3c") == ((26, 43, 60),)
    assert shades("lightgray") == shades("lightgrey")


def test_a_basic_term_means_all_its_shades() -> None:
    assert shades("gray") == shades("grey")
    assert len(shades("blue")) > 5
    parsed = parse_palette(["blue", "navy"])
    assert math.fsum(share for _, share in parsed) == pytest.approx(1)
    assert parsed[-1] == ((0, 0, 128), 0.5)
    assert len({share for _, share in parsed[:-1]}) == 1  # its shades share alike


NAVY, LIME, TEAL = (0, 0, 128), (0, 255, 0), (0, 128, 128)


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
    assert swatches("navy=0.6") == ["#000080"]
    assert swatches(["navy", "#FFF"]) == ["#000080", "#ffffff"]
    assert swatches({"blue": 1}) == ["#{:02x}{:02x}{:02x}".format(*shades("blue")[0])]
