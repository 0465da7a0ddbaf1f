"""`plan` as a user sees it."""

from __future__ import annotations

from tests.support.command_line import documents, error, lookalike


def test_plan_says_what_it_takes() -> None:
    arguments = ("plan", "--images", "100M", "--replicas", 2, "--latency", "20ms")
    plan = documents(*arguments)
    assert plan["images"] == 100_000_000
    assert plan["nodes"] * plan["ram_per_node"] >= plan["ram"] * 0.99
    shown = lookalike(*arguments).stdout
    assert "shards" in shown
    assert f"nodes  {plan['nodes']}, each" in shown
    assert "many" in error("plan", "--images", "many")


def test_plan_counts_thumbnails_within_their_budget() -> None:
    small = documents("plan", "--images", 1_000, "--model", "built-in")
    assert small["thumbnails"] == 1_000 * 19_260
    assert documents("plan", "--images", "100M")["thumbnails"] == 10_000_000_000
    assert documents("plan", "--images", "100M", "--thumbnails", "0")["thumbnails"] == 0
    shown = lookalike("plan", "--images", 1, "--thumbnails", "1T").stdout
    assert shown.startswith("1 image, 1 replica\n")
    assert "of thumbnails" in shown


def test_plan_counts_a_check_for_duplicates() -> None:
    arguments = ("plan", "--images", "100M", "--duplicates", "--memory", "2G")
    alone = documents(*arguments)["duplicates"]
    shared = documents(*arguments, "--partitions", 8)["duplicates"]
    assert alone["memory"] == 2_000_000_000
    assert alone["pairs"] == shared["pairs"] > 10**9
    assert alone["radius"] == 4
    assert alone["comparing_hours"] == 8 * shared["comparing_hours"]
    assert alone["hours"] > shared["hours"] > shared["joining_hours"] > 0
    assert documents("plan", "--images", "100k", "--duplicates")["duplicates"]["radius"] == 8
    shown = lookalike(*arguments).stdout
    assert "duplicates: 1,200,000,000 pairs to compare, hashes within 4 bits, in 1 part\n" in shown
    assert "at least 300 MB" in error(*arguments[:-1], "10M")
    assert "duplicates" not in documents("plan", "--images", "100M")
