"""What an index says of itself, and whom it refuses."""

from __future__ import annotations

import pytest

from lookalike.errors import IndexDamaged, ModelError, SchemaTooNew
from lookalike.manifest import SCHEMA, Manifest
from lookalike.types import Distance, FieldType, VectorSpec

SPECS = [
    VectorSpec("clip-vit-b-32", "semantic", 512, Distance.COSINE, "float32", "clip", "abc"),
    VectorSpec("color", "color", 96, Distance.COSINE, "float32", "color", "1"),
    VectorSpec("phash", None, 64, Distance.MANHATTAN, "uint8", "phash", "1"),
]


def test_it_reads_what_it_wrote() -> None:
    manifest = Manifest.of(SPECS, "/models").with_fields({"price": FieldType.FLOAT})
    assert Manifest.from_json(manifest.to_json(), "here") == manifest
    assert manifest.aspects == {"semantic": "clip-vit-b-32", "color": "color"}
    assert manifest.semantic == SPECS[0]


def test_a_newer_schema_is_refused() -> None:
    newer = {**Manifest.of(SPECS).to_json(), "schema": SCHEMA + 1}
    with pytest.raises(SchemaTooNew, match="upgrade it with"):
        Manifest.from_json(newer, "here")


@pytest.mark.parametrize("key", ["schema", "vectors", "aspects", "fields", "model_dir"])
def test_what_is_missing_is_damage(key: str) -> None:
    without = {name: part for name, part in Manifest.of(SPECS).to_json().items() if name != key}
    with pytest.raises(IndexDamaged, match="manifest of the index here is damaged"):
        Manifest.from_json(without, "here")


@pytest.mark.parametrize("key", ["schema", "vectors", "aspects", "fields"])
@pytest.mark.parametrize("value", [None, "x", [1], {"semantic": "nothing"}])
def test_what_makes_no_sense_is_damage(key: str, value: object) -> None:
    with pytest.raises(IndexDamaged, match="manifest of the index here is damaged"):
        Manifest.from_json({**Manifest.of(SPECS).to_json(), key: value}, "here")


def test_another_revision_is_another_model() -> None:
    manifest = Manifest.of(SPECS)
    manifest.require(SPECS[0])
    other = VectorSpec("clip-vit-b-32", "semantic", 512, Distance.COSINE, "float32", "clip", "xyz")
    with pytest.raises(ModelError, match=r"revision abc.*revision xyz"):
        manifest.require(other)
