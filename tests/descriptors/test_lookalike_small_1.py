"""The built-in model."""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

import lookalike
from lookalike.descriptors import lookalike_small_1
from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
from tests.descriptors.samples import image, vector
from tests.support.pictures import folder_of

KINDS = ("ketch", "leopards", "pagoda", "pizza", "saxophone", "sunflower")


def test_the_built_in_model_gives_what_exact_sums_give() -> None:
    """The fast kernels of some processors saturate sums of 8-bit products, most of all on noise."""
    noise = np.random.default_rng(1).integers(0, 256, (128, 128, 3), np.uint8)
    exact = lookalike_small_1.open_network(lookalike_small_1.WEIGHTS.read_bytes(), exact=True)
    expected = exact.run(None, {"pixels": noise[None]})[0][0]
    np.testing.assert_allclose(vector(LookalikeSmall1(), noise), expected, atol=1e-5)
    # With wrong numbers, exact sums would be used on every processor, at half the speed.
    result = exact.run(None, {"pixels": lookalike_small_1.probe()})[0][0]
    recorded = lookalike_small_1.PROBE_RESULT
    np.testing.assert_allclose(result[: len(recorded)], recorded, atol=1e-5)


def test_what_is_of_one_kind_is_near(data: Path) -> None:
    """The network knows things: most of the five nearest photos show the same kind of thing."""
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
    """No part of it falls between the sampled pixels."""
    stripes = np.zeros((128, 1024, 3), np.uint8)
    stripes[:, ::8] = 255
    grey = np.full((128, 128, 3), 32, np.uint8)
    built_in = LookalikeSmall1()
    assert vector(built_in, stripes) @ vector(built_in, grey) > 0.99
