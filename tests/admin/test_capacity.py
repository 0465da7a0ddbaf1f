"""Capacity estimates: growth, latency, and accuracy for a real index."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.capacity import build, measure

from lookalike.admin.capacity import (
    CapacityRequest,
    estimate,
    layout_bytes,
    vector_size,
)
from lookalike.errors import InputError


def test_models_have_sizes() -> None:
    assert vector_size("clip") == vector_size("Qdrant/clip-ViT-B-32-vision") == 512
    assert vector_size("1024") == 1024
    for model in ("unheard-of", "0"):
        with pytest.raises(InputError, match="is unknown; give the number in its place"):
            vector_size(model)


def test_sizes_of_built_in_models_are_those_of_the_descriptors() -> None:
    from fastembed import ImageEmbedding

    from lookalike import descriptors
    from lookalike.admin import capacity
    from lookalike.descriptors.catalog import NAMED

    for aspect, size in (("color", capacity.COLOR), ("texture", capacity.TEXTURE)):
        assert descriptors.load(aspect).spec.size == size
    assert descriptors.load("phash").spec.size == capacity.PHASH
    assert (
        descriptors.load("lookalike-small-1").spec.size
        == capacity.SEMANTIC_SIZES["lookalike-small-1"]
    )
    for model in ImageEmbedding.list_supported_models():
        assert vector_size(model["model"]) == model["dim"]
    for named in NAMED:
        assert vector_size(named.name) == vector_size(named.model) == named.dimensions


@pytest.mark.slow
def test_a_plan_for_a_real_index_is_within_a_tenth(tmp_path: Path) -> None:
    build(tmp_path / "index", 5_000)
    measured, planned = measure(tmp_path / "index"), layout_bytes(5_000)
    assert set(measured) == set(planned)
    for part in set(measured) - {"fixed"}:  # how much of its log an engine keeps is chance
        assert planned[part] / measured[part] == pytest.approx(1, abs=0.1), part


def test_nodes_hold_what_is_put_on_them() -> None:
    for images in (10**4, 10**6, 10**8, 10**10):
        for replicas in (1, 2, 3):
            need = estimate(CapacityRequest(images, replicas=replicas))
            assert need.nodes >= replicas
            assert need.shards >= 6
            assert need.shards % need.nodes == 0
            assert need.ram_per_node <= 0.8 * 64e9 + 1
            assert need.ram <= need.disk <= need.disk_with_headroom


def test_replicas_and_smaller_nodes_cost_more() -> None:
    one, two = estimate(CapacityRequest(10**8)), estimate(CapacityRequest(10**8, replicas=2))
    assert two.disk == pytest.approx(2 * one.disk, rel=0.03)  # in smaller shards
    assert two.upload_hours == pytest.approx(2 * one.upload_hours)
    assert estimate(CapacityRequest(10**8, node_ram=32 * 10**9)).nodes == pytest.approx(
        2 * one.nodes, abs=1
    )


def test_a_further_model_takes_its_vectors_and_their_graph() -> None:
    alone = estimate(CapacityRequest(1_000_000))
    both = estimate(CapacityRequest(1_000_000, further=[384]))
    assert both.parts["vectors"] - alone.parts["vectors"] == 4 * 384 * 1_000_000
    assert both.parts["quantized"] - alone.parts["quantized"] == 388 * 1_000_000
    assert both.parts["graphs"] > alone.parts["graphs"]
    assert both.parts["payload"] == alone.parts["payload"]


def test_a_short_latency_puts_originals_into_ram() -> None:
    disk, ram = (
        estimate(CapacityRequest(10**7, latency_ms=20)),
        estimate(CapacityRequest(10**7, latency_ms=10)),
    )
    assert not disk.originals_in_ram
    assert ram.originals_in_ram
    assert ram.ram == disk.ram + disk.parts["vectors"]
    assert "10 ms is less than the 15 ms" in ram.notes[0]
    assert estimate(CapacityRequest(10**7)).ram == disk.ram


def test_hours_to_embed_are_told_only_where_the_speed_is_given() -> None:
    unknown, known = (
        estimate(CapacityRequest(36 * 10**5)),
        estimate(CapacityRequest(36 * 10**5, images_per_second=500)),
    )
    assert unknown.embed_hours is None
    assert any("--images-per-second" in note for note in unknown.notes)
    assert known.embed_hours == pytest.approx(2)
    assert not any("--images-per-second" in note for note in known.notes)


@pytest.mark.parametrize(
    "request_",
    [
        CapacityRequest(0),
        CapacityRequest(5, semantic=0),
        CapacityRequest(5, replicas=0),
        CapacityRequest(5, node_ram=0),
        CapacityRequest(5, latency_ms=0),
        CapacityRequest(5, images_per_second=float("nan")),
        CapacityRequest(5, payload_bytes=-1),
    ],
)
def test_numbers_that_make_no_sense_are_refused(request_: CapacityRequest) -> None:
    with pytest.raises(
        InputError, match=r"^[a-z ]+ must be (at least [01]|a number above 0) \(got \S+\)\.$"
    ):
        estimate(request_)
