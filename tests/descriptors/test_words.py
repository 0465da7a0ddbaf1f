"""Words of the built-in model."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from lookalike.descriptors import lookalike_small_1
from lookalike.descriptors._words import Vocabulary
from lookalike.descriptors.lookalike_small_1 import LookalikeSmall1
from lookalike.errors import ModelError, QueryError
from tests.descriptors.samples import image

MODEL = LookalikeSmall1()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dress", ["dress"]),
        ("a photo of a dress", ["dress"]),
        ("Dresses", ["dress"]),
        ("dogs", ["dog"]),
        ("knives forks", None),
        ("T-shirt", ["t shirt"]),
        ("red dress", ["=red", "dress"]),
        ("a striped navy blue dress", ["striped", "=navy", "dress"]),
        ("orange", ["orange"]),
        ("orange dress", ["=orange", "dress"]),
        ("denim jacket", ["denim", "jacket"]),
        ("wooden chair", ["wooden", "chair"]),
        ("red orange", ["=red", "orange"]),
        ("red", ["=red"]),
        ("golden retriever", ["golden retriever"]),
        ("dress not striped", ["dress", "-striped"]),
        ("dress, not red", ["dress", "-=red"]),
        ("not striped but a dress", ["-striped", "dress"]),
    ],
)
def test_a_text_is_read(text: str, expected: Sequence[str] | None) -> None:
    """Colors are marked by =, unwanted words by -."""
    if expected is None:
        with pytest.raises(QueryError):
            MODEL.mentions(text)
        return
    read = ["-" * (not one.wanted) + "=" * one.is_color + one.name for one in MODEL.mentions(text)]
    assert read == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("elefant", "did you mean elephant"),
        ("puppy", "it knows dog and domestic animal"),
        ("two puppies", "it knows dog and domestic animal"),
        ("a woman", "it knows person; "),
        ("blouse", "it knows top and woman's clothing"),
        ("garblefrotz", "`lookalike words` lists"),
        ("the", "has no word"),
        ("", "has no word"),
    ],
)
def test_a_text_with_an_unknown_word_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        MODEL.describe_text([text])


def test_every_word_has_its_precision_and_is_found_by_all_its_names() -> None:
    words = MODEL.words
    assert len(words) > 1000
    assert all(word.precision >= (0.2, 0.4)[word.measured_with == "teacher"] for word in words)
    names = {name for word in words for name in (word.name, *word.synonyms)}
    unread = [
        name
        for name in sorted(names)
        if len(mentions := MODEL.mentions(name)) != 1 or mentions[0].is_color
    ]
    assert not unread


def test_words_find_what_they_mean(data: Path) -> None:
    kinds = ("ketch", "leopard", "pagoda", "pizza", "saxophone", "sunflower")
    with (data / "photos" / "labels.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["label"].removesuffix("s") in kinds]
    pictures = [
        image(np.asarray(PIL.Image.open(data / "photos" / row["file"]).convert("RGB")))
        for row in rows
    ]
    labels = np.array([row["label"].removesuffix("s") for row in rows])
    vectors = MODEL.describe(pictures).vectors
    for kind, direction in zip(kinds, MODEL.describe_text(kinds), strict=True):
        best = np.argsort(-(vectors @ direction))[:10]
        assert (labels[best] == kind).mean() >= 0.8, kind


def test_what_is_not_wanted_comes_later() -> None:
    dress, other, both = MODEL.describe_text(["dress", "striped", "dress not striped"])
    assert both @ dress > 0.7
    assert both @ other < dress @ other


@pytest.mark.parametrize("damage", ["missing", "truncated"])
def test_damaged_words_are_said(damage: str, tmp_path: Path) -> None:
    whole = Path(lookalike_small_1.__file__).with_name("lookalike-small-1-words.npz")
    file = Path(shutil.copy(whole, tmp_path))
    file.unlink() if damage == "missing" else file.write_bytes(file.read_bytes()[:10_000])
    with pytest.raises(ModelError, match=r"words\.npz is missing or damaged: install"):
        Vocabulary(file).vector("dress")
