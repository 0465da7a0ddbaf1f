"""Pictures of differences are red where two pictures differ, and nowhere else."""

from __future__ import annotations

import numpy as np
import PIL.ImageDraw
import pytest
from numpy.typing import NDArray
from PIL.Image import Transpose

from lookalike.comparison.difference import difference
from lookalike.types import Pixels
from tests.comparison.edits import PLAIN, Picture
from tests.support.pictures import scene


def shown(keeper: Picture, copy: Picture) -> Pixels:
    picture = difference(np.asarray(keeper), np.asarray(copy))
    assert picture is not None
    return picture


def is_red(pixels: Pixels) -> NDArray[np.bool_]:
    red, green, blue = pixels.astype(np.int16).transpose(2, 0, 1)
    return np.asarray(red - np.maximum(green, blue) > 60)


def test_a_difference_is_red_where_it_is_and_nowhere_else() -> None:
    picture = scene(3)
    covered = picture.copy()
    PIL.ImageDraw.Draw(covered).rectangle((60, 40, 200, 100), "white")
    differences = shown(picture, covered)
    assert differences.shape == np.asarray(picture).shape
    red = is_red(differences)
    assert red[44:97, 64:197].mean() > 0.5  # some of it was white before
    red[30:111, 50:211] = False
    assert red.mean() < 0.005
    assert not is_red(shown(picture, picture)).any()


def test_a_mirrored_and_darker_copy_differs_nowhere() -> None:
    picture = scene(4)
    darker = picture.point(lambda value: round(0.7 * value)).transpose(Transpose.FLIP_LEFT_RIGHT)
    assert is_red(shown(picture, darker)).mean() < 0.005


def test_the_part_missing_in_a_crop_is_dark() -> None:
    picture = scene(5)  # 480 x 360
    differences = shown(picture, picture.crop((120, 0, 480, 360)))
    assert is_red(differences).mean() < 0.01
    light = differences.mean(axis=2) / shown(picture, picture).mean(axis=2)
    assert light[:, :110] == pytest.approx(0.35, abs=0.05)
    assert np.median(light[:, 140:]) == pytest.approx(1, abs=0.05)


def test_unrelated_pictures_have_no_difference_to_show() -> None:
    assert difference(np.asarray(scene(6)), np.asarray(scene(7))) is None
    assert difference(np.asarray(scene(6)), PLAIN["white"]) is None
