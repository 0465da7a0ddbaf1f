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
