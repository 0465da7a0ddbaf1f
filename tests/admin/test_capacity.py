"""The plan: units, how it grows, what it says of latency, and what it says of a real index."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.capacity import build, measure

from lookalike.admin.capacity import (
    Ask,
    layout_bytes,
    parse_bytes,
    parse_count,
    parse_milliseconds,
    plan,
    vector_size,
)
from lookalike.errors import InputError


@pytest.mark.parametrize(
    ("text", "number"),
    [("100M", 10**8), ("2.5k", 2500), ("7", 7), ("1b", 10**9), (" 3 m ", 3 * 10**6)],
)
def test_counts_are_read(text: str, number: int) -> None:
    assert parse_count(text) == number


@pytest.mark.parametrize(
    ("text", "number"),
    [("64G", 64 * 10**9), ("64GB", 64 * 10**9), ("1.5Gi", 3 * 2**29), ("2TiB", 2**41), ("9", 9)],
)
def test_bytes_are_read(text: str, number: int) -> None:
    assert parse_bytes(text) == number


@pytest.mark.parametrize("text", ["", "0", "-5", "many", "1e9", "5X", "nan", "0.1", "1,000"])
@pytest.mark.parametrize("parse", [parse_count, parse_bytes])
def test_what_is_no_size_is_one_sentence(parse: object, text: str) -> None:
    with pytest.raises(InputError, match=r"is no size above zero: write it as .*\.$"):
        parse(text)  # type: ignore[operator]


def test_times_are_read() -> None:
    assert parse_milliseconds("20ms") == parse_milliseconds("20") == 20
    assert parse_milliseconds("0.5s") == 500
    for text in ("", "0ms", "fast", "-1ms", "3h"):
        with pytest.raises(InputError, match="is no time: write it as 20ms"):
            parse_milliseconds(text)


def test_models_have_sizes() -> None:
    assert vector_size("clip") == vector_size("Qdrant/clip-ViT-B-32-vision") == 512
    assert vector_size("1024") == 1024
    for model in ("unheard-of", "0"):
        with pytest.raises(InputError, match="give the number in its place"):
            vector_size(model)


def test_sizes_of_built_in_models_are_those_of_the_descriptors() -> None:
    from fastembed import ImageEmbedding

    from lookalike import descriptors
    from lookalike.admin import capacity

    for aspect, size in (("color", capacity.COLOR), ("texture", capacity.TEXTURE)):
        assert descriptors.load(aspect).spec.size == size
    assert descriptors.load("phash").spec.size == capacity.PHASH
    assert (
        descriptors.load("lookalike-small-1").spec.size
        == capacity.SEMANTIC_SIZES["lookalike-small-1"]
    )
    for model in ImageEmbedding.list_supported_models():
        assert vector_size(model["model"]) == model["dim"]


def test_a_plan_for_a_real_index_is_within_a_tenth(tmp_path: Path) -> None:
    build(tmp_path / "index", 5_000)
    measured, planned = measure(tmp_path / "index"), layout_bytes(5_000)
    assert set(measured) == set(planned)
    for part in set(measured) - {"fixed"}:  # how much of its log an engine keeps is chance
        assert planned[part] / measured[part] == pytest.approx(1, abs=0.1), part


def test_nodes_hold_what_is_put_on_them() -> None:
    for images in (10**4, 10**6, 10**8, 10**10):
        for replicas in (1, 2, 3):
            found = plan(Ask(images, replicas=replicas))
            assert found.nodes >= replicas
            assert found.shards >= 6
            assert found.shards % found.nodes == 0
            assert found.ram_per_node <= 0.8 * 64e9 + 1
            assert found.ram <= found.disk <= found.disk_with_headroom


def test_replicas_and_smaller_nodes_cost_more() -> None:
    one, two = plan(Ask(10**8)), plan(Ask(10**8, replicas=2))
    assert two.disk == pytest.approx(2 * one.disk, rel=0.03)  # in smaller shards
    assert two.upload_hours == pytest.approx(2 * one.upload_hours)
    assert plan(Ask(10**8, node_ram=32 * 10**9)).nodes == pytest.approx(2 * one.nodes, abs=1)


def test_a_short_latency_puts_originals_into_ram() -> None:
    disk, ram = plan(Ask(10**7, latency_ms=20)), plan(Ask(10**7, latency_ms=10))
    assert not disk.originals_in_ram
    assert ram.originals_in_ram
    assert ram.ram == disk.ram + disk.parts["vectors"]
    assert "10 ms is less than the 15 ms" in ram.notes[0]
    assert plan(Ask(10**7)).ram == disk.ram


def test_hours_to_embed_are_told_only_where_the_speed_is_given() -> None:
    unknown, known = plan(Ask(36 * 10**5)), plan(Ask(36 * 10**5, images_per_second=500))
    assert unknown.embed_hours is None
    assert any("--images-per-second" in note for note in unknown.notes)
    assert known.embed_hours == pytest.approx(2)
    assert not any("--images-per-second" in note for note in known.notes)


@pytest.mark.parametrize(
    "ask",
    [
        Ask(0),
        Ask(5, semantic=0),
        Ask(5, replicas=0),
        Ask(5, node_ram=0),
        Ask(5, latency_ms=0),
        Ask(5, images_per_second=float("nan")),
        Ask(5, payload_bytes=-1),
    ],
)
def test_numbers_that_make_no_sense_are_refused(ask: Ask) -> None:
    with pytest.raises(InputError, match=r"^[a-z ]+ (ms )?is \S+: give .*\.$"):
        plan(ask)
