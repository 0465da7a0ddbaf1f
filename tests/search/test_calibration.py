"""Calibration: backgrounds of aspects and targets, and their effect on rankings."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.descriptors.color import Color
from lookalike.index import Index
from lookalike.manifest import Calibration
from lookalike.search.calibration import LEAST, calibrate, is_due
from lookalike.search.colors import parse_palette
from lookalike.search.hits import Hits
from lookalike.types import Point
from tests.support.pictures import folder_of

Floats = NDArray[np.float32]

HALF = {"semantic": 0.5, "color": 0.5}


def unit(vectors: NDArray[np.floating]) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / lengths, np.float32)


def made(
    folder: Path, count: int = 400, *, semantic: float = 0.2, color: float = 3.0
) -> tuple[Index, Mapping[str, Floats]]:
    """An index of synthetic vectors: a common direction plus a random one of a given length."""
    rng = np.random.default_rng(1)
    index = Index.open(folder / "index", model="built-in")
    own = {"semantic": semantic, "color": color, "texture": 1.0}
    vectors = {}
    for aspect, name in index._manifest.aspects.items():
        rows = np.zeros((count, index._manifest.vectors[name].size))
        rows[:, :4] = own[aspect] * unit(rng.standard_normal((count, 4)))
        rows[:, 4] = 1
        vectors[name] = unit(rows)
    index._engine.upsert(
        [
            Point(
                str(i),
                {name: rows[i] for name, rows in vectors.items()},
                {"image": {"id": str(i), "sha256": f"{i:064x}", "phash": rng.bytes(8).hex()}},
            )
            for i in range(count)
        ]
    )
    index.calibrate()
    return index, vectors


# --- the sample -----------------------------------------------------------------------------


def test_the_background_is_that_of_all_pairs(tmp_path: Path) -> None:
    index, vectors = made(tmp_path)
    with index:
        known = index._manifest.calibration
        assert known is not None
        assert known.images == 400
        assert set(known.backgrounds) == set(index._manifest.aspects.values())
        for name, rows in vectors.items():
            pairs = (rows @ rows.T)[np.triu_indices(len(rows), 1)]
            assert known.backgrounds[name].mean == pytest.approx(pairs.mean(), abs=1e-4)
            assert known.backgrounds[name].spread == pytest.approx(pairs.std(), abs=1e-4)


def test_a_sample_of_many_tells_the_same(tmp_path: Path) -> None:
    index, vectors = made(tmp_path, 3000)
    with index:
        known = index._manifest.calibration
        assert known is not None
        for name, rows in vectors.items():
            spread = float((rows @ rows.T)[np.triu_indices(len(rows), 1)].std())
            assert known.backgrounds[name].spread == pytest.approx(spread, rel=0.06)


@pytest.mark.parametrize(
    ("images", "due"), [(0, True), (29, True), (50, True), (51, False), (199, False), (200, True)]
)
def test_it_is_due_when_the_index_has_doubled_or_halved(images: int, due: bool) -> None:
    assert is_due(Calibration(100, {}), images) is due
    assert is_due(None, images) is (images >= LEAST)


def test_it_is_kept_and_made_again_when_the_index_has_doubled(tmp_path: Path) -> None:
    def known() -> Calibration | None:
        with Index.open(tmp_path / "index", model="built-in") as index:
            index.add(photos)
            manifest = json.loads((tmp_path / "index" / "manifest.json").read_text())
        with Index.open(tmp_path / "index", create=False) as index:
            kept = index._manifest.calibration
        assert (manifest["calibration"] is None) == (kept is None)
        return kept

    photos = folder_of(tmp_path / "photos", LEAST - 1)
    assert known() is None
    folder_of(photos, LEAST)
    first = known()
    assert first is not None
    assert first.images == LEAST
    folder_of(photos, 2 * LEAST - 1)
    assert known() == first
    folder_of(photos, 2 * LEAST)
    second = known()
    assert second is not None
    assert second.images == 2 * LEAST
    assert second != first


def test_an_index_that_has_shrunk_to_nothing_has_none(tmp_path: Path) -> None:
    index, _ = made(tmp_path, 40)
    with index:
        index.delete([str(i) for i in range(20)])
        assert calibrate(index._engine, list(index._manifest.vectors.values()), len(index)) is None
        index.calibrate()
        assert index._manifest.calibration is None
        assert index.search(id="30", weights=HALF).explanation.aspects["color"].spread is None


# --- effect on rankings ---------------------------------------------------------------------


def influence(hits: Hits) -> tuple[float, float]:
    """The influence of two aspects on a ranking: correlation of the sum with each part."""
    scores = [hit.score for hit in hits]
    semantic, color = (
        float(np.corrcoef(scores, [hit.scores[aspect] for hit in hits])[0, 1])
        for aspect in ("semantic", "color")
    )
    return semantic, color


def test_half_and_half_is_half_and_half(tmp_path: Path) -> None:
    index, _ = made(tmp_path)
    with index:
        for id in ("3", "7", "11"):
            even, raw = (
                influence(index.search(id=id, weights=HALF, calibration=calibration, limit=400))
                for calibration in ("spread", "none")
            )
            assert even[0] == pytest.approx(even[1], abs=0.15)
            assert min(even) > 0.5
            assert raw[1] > 0.95 > even[1]
            assert raw[0] < 0.5 < even[0]


def test_weights_still_count(tmp_path: Path) -> None:
    index, _ = made(tmp_path)
    with index:
        mostly = index.search(id="3", weights={"semantic": 0.9, "color": 0.1}, limit=400)
        semantic, color = influence(mostly)
        assert semantic > 0.95 > 0.5 > color


def test_where_all_look_alike_the_other_aspect_decides(tmp_path: Path) -> None:
    index, vectors = made(tmp_path, semantic=0.0)
    with index:
        known = index._manifest.calibration
        assert known is not None
        assert known.backgrounds["lookalike-small-1"].spread == 0.005
        hits = index.search(id="3", weights=HALF)
        assert all(math.isfinite(hit.calibrated) for hit in hits)
        similarity = vectors["color"] @ vectors["color"][3]
        assert [hit.id for hit in hits] == [str(i) for i in np.argsort(-similarity)[1:11]]


def test_noise_in_an_aspect_is_not_blown_up(tmp_path: Path) -> None:
    index, vectors = made(tmp_path, semantic=1e-3)  # cosines differ in the sixth digit
    with index:
        hits = index.search(id="3", weights=HALF)
        similarity = vectors["color"] @ vectors["color"][3]
        assert [hit.id for hit in hits] == [str(i) for i in np.argsort(-similarity)[1:11]]


def test_few_images_are_summed_as_they_are(tmp_path: Path) -> None:
    index, _ = made(tmp_path, LEAST - 1)
    with index:
        assert index._manifest.calibration is None
        plain = index.search(id="3", weights=HALF, limit=LEAST)
        assert [hit.id for hit in plain] == [
            hit.id for hit in index.search(id="3", weights=HALF, calibration="none", limit=LEAST)
        ]
        for hit in plain:
            assert hit.score == pytest.approx(hit.raw, abs=1e-6) == hit.calibrated
        for aspect in plain.explanation.aspects.values():
            assert (aspect.mean, aspect.spread, aspect.effective) == (None, None, 0.5)
        relevant = index.search(id="3", relevant=True, limit=LEAST)
        assert len(relevant) == LEAST - 2  # all but itself: too few to tell what is chance
        json.dumps(relevant.explanation.relevant_from, allow_nan=False)


def test_an_index_from_before_calibration_opens_and_gains_it(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 40)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(photos)
        expected = index._manifest.calibration
    file = tmp_path / "index" / "manifest.json"
    manifest = json.loads(file.read_text())
    del manifest["calibration"]
    file.write_text(json.dumps(manifest))
    with Index.open(tmp_path / "index", create=False) as index:
        assert index._manifest.calibration is None
        hits = index.search(image=photos / "003.jpg", weights=HALF)
        assert hits[0].id.endswith("003.jpg")
        assert hits.explanation.aspects["color"].spread is None
        index.add(photos)
        assert index._manifest.calibration == expected
        hits = index.search(image=photos / "003.jpg", weights=HALF)
        assert hits.explanation.aspects["color"].spread is not None


# --- targets that are not pictures ----------------------------------------------------------


def measured(index: Index, name: str, target: Any) -> tuple[float, float]:
    """Mean and spread of the similarities of all images to a target, by brute force."""
    rows = np.array([point.vectors[name] for point in index.scroll(vectors=True)])
    similarities = rows @ unit(np.asarray(target))
    return float(similarities.mean()), float(similarities.std())


def test_colors_have_a_background_of_their_own(tmp_path: Path) -> None:
    photos = folder_of(tmp_path / "photos", 40)
    with Index.open(tmp_path / "index", model="built-in") as index:
        index.add(photos)
        known = index._manifest.calibration
        assert known is not None
        plan = index.search(id=str(photos / "003.jpg"), color="red", weights=HALF).explanation
        target = Color().describe_color(parse_palette("red"))
        found = plan.aspects["color"]
        assert (found.mean, found.spread) == pytest.approx(measured(index, "color", target))
        assert found.spread != known.backgrounds["color"].spread
        assert plan.aspects["semantic"].spread == known.backgrounds["lookalike-small-1"].spread


def test_words_and_mixtures_have_backgrounds_of_their_own(data: Path, tmp_path: Path) -> None:
    photos = sorted((data / "photos").rglob("*.jpg"))[::40][:40]
    with Index.open(tmp_path / "index", model_dir=data / "standin-clip") as index:
        index.add(*photos)
        name = index._manifest.semantic.name
        known = index._manifest.calibration
        assert known is not None
        descriptor: Any = index._models.descriptor(name)
        (words,) = descriptor.describe_text(["pizza"])
        by_words = index.search(text="pizza").explanation.aspects["semantic"]
        assert (by_words.mean, by_words.spread) == pytest.approx(measured(index, name, words))
        assert by_words.spread != known.backgrounds[name].spread
        one, other = (
            index.get(str(photo), vectors=True).vectors[name] for photo in (photos[0], photos[1])
        )
        mixed = index.search(id=[str(photos[0]), str(photos[1])]).explanation.aspects["semantic"]
        assert (mixed.mean, mixed.spread) == pytest.approx(
            measured(index, name, one + other), abs=1e-5
        )
