"""Guards: settings of the codec libraries that are set by name, and would be lost silently if the
name changed."""

from __future__ import annotations

import subprocess
import sys

import pillow_heif
import pytest

from lookalike.imaging.codecs import SUPPORTED, load_plugin


@pytest.mark.parametrize("format", SUPPORTED)
def test_every_plugin_loads(format: str) -> None:
    load_plugin(format)


def test_avif_is_decoded_by_one_thread() -> None:
    """`DEFAULT_MAX_THREADS` is an undocumented name of Pillow's plug-in."""
    code = """
from PIL import AvifImagePlugin
assert AvifImagePlugin.DEFAULT_MAX_THREADS == 0
from lookalike.imaging.codecs import load_plugin
load_plugin("AVIF")
assert AvifImagePlugin._get_default_max_threads() == 1
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_heif_is_decoded_by_one_thread_and_without_side_images() -> None:
    load_plugin("HEIF")
    options = pillow_heif.options
    assert options.DECODE_THREADS == 1
    assert not any((options.THUMBNAILS, options.DEPTH_IMAGES, options.AUX_IMAGES))
