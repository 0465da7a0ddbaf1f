"""Shadow queries: two models compared by what they find, against brute force."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from lookalike.engines.edge.engine import EdgeEngine
from lookalike.errors import QueryError
from lookalike.index import Index
from lookalike.manifest import Manifest
from lookalike.protocols import Descriptors
from lookalike.search.model_comparison import ModelComparison
from lookalike.search.query_log import LoggedQuery
from lookalike.search.rank_agreement import rank_biased_overlap
from lookalike.search.shadow import compare_models
from lookalike.types import Distance, FieldType, Point, VectorSpec
from tests.support.onnx_models import write_preprocessing, write_text, write_tokenizer, write_vision
from tests.support.pictures import folder_of

COUNT, KINDS, K = 240, 6, 10
OLD = VectorSpec("old", "semantic", 16, Distance.COSINE, "float32", "first", "1")
NEW = VectorSpec("new", None, 24, Distance.COSINE, "float32", "second", "1")
FIELDS = {
    "brand": FieldType.KEYWORD,
    "kind": FieldType.KEYWORD,
    "price": FieldType.FLOAT,
    "same": FieldType.KEYWORD,
    "serial": FieldType.KEYWORD,
    "tags": FieldType.KEYWORDS,
}
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Stored:
    """An index with vectors of two models, and the same as arrays by id."""

    engine: EdgeEngine
    manifest: Manifest
    vectors: Mapping[str, Mapping[str, Floats]]
    kinds: Mapping[str, str]

    def compare(self, **options: Any) -> ModelComparison:
        return compare_models(self.engine, self.manifest, OLD, NEW, options)

    def nearest(self, name: str, id: str, limit: int = K) -> list[str]:
        """The nearest to an image but itself, by brute force."""
        vectors = {one: v / np.linalg.norm(v) for one, v in self.vectors[name].items()}
        scores = {one: float(v @ vectors[id]) for one, v in vectors.items() if one != id}
        return sorted(scores, key=lambda one: -scores[one])[:limit]


def payload_of(i: int) -> dict[str, Any]:
    brand = {"brand": f"brand {i % 17}"} if i % 3 else {}
    tags = {"tags": [f"tag {i % KINDS}", f"tag {i % 5}"]} if i % 10 == 0 else {}
    own = {"kind": f"kind {i % KINDS}", "same": "all", "serial": f"no. {i}", "price": i / 2}
    return {"image": {"id": f"{i:03}"}, **own, **brand, **tags}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stored]:
    """Images of six kinds; the new model tells these apart better, and one has no vector of it."""
    rng = np.random.default_rng(5)
    centers = rng.normal(size=(KINDS, OLD.size))
    old = centers[np.arange(COUNT) % KINDS] + 1.2 * rng.normal(size=(COUNT, OLD.size))
    new = (0.6 * old + 0.4 * centers[np.arange(COUNT) % KINDS]) @ rng.normal(size=(16, 24))
    points = [
        Point(
            f"{i:03}",
            {"old": old[i].astype(np.float32), "new": new[i].astype(np.float32)},
            payload_of(i),
        )
        for i in range(COUNT)
    ]
    lacking = Point("lacking", {"old": np.ones(16, np.float32)}, {"image": {"id": "lacking"}})
    with closing(EdgeEngine(tmp_path_factory.mktemp("shadow") / "index")) as engine:
        engine.create([OLD, NEW])
        engine.upsert([*points, lacking])
        yield Stored(
            engine,
            Manifest.of([OLD, NEW]).with_fields(FIELDS),
            {
                "old": {**{f"{i:03}": old[i] for i in range(COUNT)}, "lacking": np.ones(16)},
                "new": {f"{i:03}": new[i] for i in range(COUNT)},
            },
            {f"{i:03}": f"kind {i % KINDS}" for i in range(COUNT)},
        )


def overlap(one: Sequence[str], other: Sequence[str]) -> float:
    return len({*one} & {*other}) / K


def test_figures_are_those_of_brute_force(stored: Stored) -> None:
    found = stored.compare(queries=500)
    ids = list(stored.kinds)
    both = {id: (stored.nearest("old", id), stored.nearest("new", id)) for id in ids}
    overlaps = {id: overlap(*both[id]) for id in ids}
    assert found.queries == COUNT
    assert found.overlap.mean == pytest.approx(np.mean(list(overlaps.values())))
    assert found.overlap.low < found.overlap.mean < found.overlap.high
    assert found.rank_overlap.mean == pytest.approx(
        np.mean([rank_biased_overlap(*both[id], K) for id in ids])
    )
    assert [round(K * share) for share in sorted(overlaps.values())] == [
        number for number, queries in enumerate(found.shared) for _ in range(queries)
    ]
    for pair in found.pairs:
        old, new = both[pair.value]
        assert [hit.id for hit in pair.old] == old
        assert [hit.id for hit in pair.new] == new
        assert pair.overlap == pytest.approx(overlaps[pair.value])
        assert pair.shared == {*old} & {*new}
        assert [hit.payload["image"]["id"] for hit in pair.new] == new
        assert [hit.score for hit in pair.new] == sorted(
            (hit.score for hit in pair.new), reverse=True
        )
    assert [pair.overlap for pair in found.pairs] == pytest.approx(sorted(overlaps.values())[:20])
    assert found.notes == ("1 sampled image without one of the vectors left out.",)
    assert 0 < found.old.p50 <= found.old.p95


def test_the_field_that_neighbors_share_beyond_chance_judges(stored: Stored) -> None:
    precision = stored.compare(queries=500).precision
    assert precision is not None
    assert (precision.field, precision.queries) == ("kind", COUNT)
    shares = {
        name: [
            np.mean([stored.kinds.get(one) == kind for one in stored.nearest(name, id)])
            for id, kind in stored.kinds.items()
        ]
        for name in ("old", "new")
    }
    assert precision.old.mean == pytest.approx(np.mean(shares["old"]))
    assert precision.new.mean == pytest.approx(np.mean(shares["new"]))
    assert precision.difference.mean == pytest.approx(precision.new.mean - precision.old.mean)
    assert precision.difference.low > 0


def test_a_named_field_judges(stored: Stored) -> None:
    precision = stored.compare(by="tags", queries=500).precision
    assert precision is not None
    assert precision.queries == COUNT // 10
    with pytest.raises(QueryError, match='unknown field "colour"'):
        stored.compare(by="colour")
    with pytest.raises(QueryError, match="price holds no labels"):
        stored.compare(by="price")
    without = stored.manifest.with_fields({"empty": FieldType.KEYWORD})
    with pytest.raises(QueryError, match="None of the images searched by has a value of empty"):
        compare_models(stored.engine, without, OLD, NEW, {"by": "empty"})


def test_no_field_judges_where_none_is_shared_beyond_chance(stored: Stored) -> None:
    fields = {name: type for name, type in FIELDS.items() if name not in ("kind", "tags")}
    manifest = Manifest.of([OLD, NEW]).with_fields(fields)
    assert compare_models(stored.engine, manifest, OLD, NEW, {}).precision is None


def test_a_model_agrees_with_itself(stored: Stored) -> None:
    found = compare_models(stored.engine, stored.manifest, OLD, OLD, {"queries": 50, "limit": 5})
    assert found.overlap.mean == 1
    assert found.rank_overlap.mean == pytest.approx(1)
    assert found.shared == (0, 0, 0, 0, 0, 50)
    assert found.precision is not None
    assert found.precision.difference.mean == 0


def test_the_sample_stays(stored: Stored) -> None:
    one, other = stored.compare(queries=40), stored.compare(queries=40)
    assert one.queries == 40
    assert one.pairs == other.pairs


def test_an_image_alone_cannot_be_compared(tmp_path: Path) -> None:
    with closing(EdgeEngine(tmp_path / "index")) as engine:
        engine.create([OLD, NEW])
        engine.upsert(
            [
                Point(
                    "0",
                    {"old": np.ones(16, np.float32), "new": np.ones(24, np.float32)},
                    {"image": {"id": "0"}},
                )
            ]
        )
        with pytest.raises(QueryError, match="Fewer than two images have vectors of both first"):
            compare_models(engine, Manifest.of([OLD, NEW]), OLD, NEW, {})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("abc", "abc", 1.0),
        ("abc", "def", 0.0),
        ("", "", 1.0),
        # By hand, p = 2/3: 1/3 (0 + 2/3 x 1 + 4/9 x 1) + 8/27 x 1.
        ("abc", "bac", (2 / 3 + 4 / 9) / 3 + 8 / 27),
        ("abc", "acd", (1 + 2 / 3 * 1 / 2 + 4 / 9 * 2 / 3) / 3 + 8 / 27 * 2 / 3),
    ],
)
def test_rank_biased_overlap(one: str, other: str, expected: float) -> None:
    assert rank_biased_overlap(one, other, 3) == pytest.approx(expected)
    assert rank_biased_overlap(other, one, 3) == pytest.approx(expected)


def test_logged_queries_by_real_models(tmp_path: Path) -> None:
    """Texts count if both models support them, images if they are still there."""
    for name in ("worded", "mute"):
        write_preprocessing(tmp_path / name)
        write_vision(tmp_path / name / "vision.onnx")
    write_text(tmp_path / "worded" / "text.onnx", tokens=16)
    write_tokenizer(tmp_path / "worded")
    photos = folder_of(tmp_path / "photos", 12)
    also = [f"onnx:{tmp_path / name}" for name in ("worded", "mute")]
    with Index.open(tmp_path / "index", model="built-in", also=also) as index:
        index.add(photos)
        (id, *_) = (point.id for point in index.scroll())
        logged = [LoggedQuery(text) for text in ("dress", "dress", "qwzx", "red shoes")]
        logged += [LoggedQuery(id, is_text=False), LoggedQuery("gone", is_text=False)]
        manifest = index._manifest
        worded, mute = (
            manifest.vectors[manifest.aspects[f"semantic:{name}"]] for name in ("worded", "mute")
        )

        def compare(new: VectorSpec, models: Descriptors | None, **options: Any) -> ModelComparison:
            own = index._engine, manifest, manifest.semantic
            return compare_models(*own, new, options, models=models, logged=logged)

        found = compare(worded, index._models, limit=3)
        numbers = {one.kind: one.queries for one in found.agreement}
        assert numbers == {"stored images": 12, "logged images": 1, "logged texts": 2}
        assert found.queries == 15
        gone, words = found.notes
        assert gone.startswith("1 logged image left out")
        assert words.startswith("1 logged text left out")
        assert "qwzx" in words
        texts = {pair.value: pair for pair in found.pairs if pair.kind == "logged texts"}
        assert set(texts) == {"dress", "red shoes"}
        direct = index.search(text="dress", limit=3, weights={"semantic:worded": 1})
        assert [hit.id for hit in texts["dress"].new] == [hit.id for hit in direct]
        left_out = f"3 logged texts left out: {mute.model} does not support text."
        assert left_out in compare(mute, index._models).notes
        assert (
            "3 logged texts left out: only images are compared here." in compare(mute, None).notes
        )
