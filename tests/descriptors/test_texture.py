"""Texture: patterns regardless of color."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalike.descriptors.texture import Texture
from tests.descriptors.samples import NAVY, RED, WHITE, flat, image, sample, stripes, vector


def test_texture_does_not_see_color_but_the_pattern() -> None:
    blue, red, wide = (
        vector(Texture(), stripes(*pattern))
        for pattern in ((4, NAVY, WHITE), (4, (60, 0, 0), (240, 120, 90)), (16, NAVY, WHITE))
    )
    assert blue @ red > 0.98
    assert blue @ wide < 0.9


def test_textures_of_any_two_photos_are_far_enough_apart_for_int8(data: Path) -> None:
    """Eight bits have an error of 0.003, too much for cosines within 0.95 ± 0.03."""
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
