"""Gates of a cut-over: verdicts, bounds that a person sets, and what cannot be measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lookalike.errors import InputError
from lookalike.search.gates import Evidence, GateResult, Gates
from tests.support.comparisons import comparison


def evidence(**changes: Any) -> Evidence:
    return replace(Evidence(1_000, 1_000, 0, comparison()), **changes)


def verdicts(require: Any = None, **changes: Any) -> dict[str, GateResult]:
    return {one.name: one for one in Gates.parse(require).check(evidence(**changes))}


def test_a_good_model_passes() -> None:
    results = verdicts()
    assert list(results) == ["filled", "errors", "p95", "precision"]
    assert all(one.passed for one in results.values())
    assert results["p95"].measured == pytest.approx(1.1)
    assert results["p95"].sentence == (
        "95 % of searches take at most 11.0 ms, and 10.0 ms with the old model: 1.10 times as long "
        "(at most 1.2 times, or 1 ms more)."
    )
    assert results["precision"].sentence == (
        "80.0 % of results share the query's brand, and 80.0 % with the old model: +0.0 points (at "
        "least -1)."
    )


@pytest.mark.parametrize(
    ("gate", "changes", "words"),
    [
        ("filled", {"filled": 998}, "described 998 of 1,000 images, 99.8 % (at least 99.9 %)"),
        ("filled", {"filled": 99_899, "images": 100_000}, "99.89 %"),
        ("errors", {"errors": 1}, "failed on 1 image (at most 0)"),
        ("p95", {"comparison": comparison(p95=12.1)}, "1.21 times as long"),
        ("precision", {"comparison": comparison(precision=0.789)}, "-1.1 points"),
    ],
)
def test_each_gate_refuses(gate: str, changes: dict[str, Any], words: str) -> None:
    results = verdicts(**changes)
    assert [name for name, one in results.items() if not one.passed] == [gate]
    assert words in results[gate].sentence


def test_at_the_bounds_they_pass() -> None:
    results = verdicts(filled=999, comparison=comparison(p95=12.0, precision=0.79))
    assert all(one.passed for one in results.values())


def test_a_millisecond_is_too_little_to_refuse_unless_a_ratio_is_required() -> None:
    fast = comparison()
    fast = replace(fast, old=replace(fast.old, p95=0.4), new=replace(fast.new, p95=0.9))
    assert verdicts(comparison=fast)["p95"].passed
    assert not verdicts("p95=1.2", comparison=fast)["p95"].passed


def test_bounds_can_be_changed_and_gates_added() -> None:
    required = "overlap=0.7, p95=1.05,precision=-0.02 ,filled=0.9,errors=3,rank_overlap=0.5"
    results = verdicts(required, filled=900, errors=3, comparison=comparison(precision=0.785))
    assert {name: one.passed for name, one in results.items()} == {
        "filled": True,
        "errors": True,
        "p95": False,
        "precision": True,
        "overlap": False,
        "rank_overlap": True,
    }
    assert results["overlap"].measured == 0.6
    assert verdicts({"overlap": 0.5})["overlap"].passed


def test_what_cannot_be_measured_refuses_only_if_it_is_required() -> None:
    unlabeled = comparison(precision=None)
    result = verdicts(comparison=unlabeled)["precision"]
    assert (result.passed, result.measured) == (True, None)
    assert "no such gate" in result.sentence
    result = verdicts("precision=0", comparison=unlabeled)["precision"]
    assert (result.passed, result.measured) == (False, None)
    assert "cannot pass" in result.sentence
    for few in (0, 1):
        alone = verdicts(filled=few, images=few, comparison=None)
        assert all(one.passed for one in alone.values())
    assert not verdicts("overlap=0", comparison=None)["overlap"].passed


def test_many_images_that_cannot_be_compared_refuse() -> None:
    """As where hardly any has a vector of the new model, and a person counts these as filled."""
    results = verdicts(comparison=None)
    assert [name for name, one in results.items() if not one.passed] == ["p95", "precision"]
    assert "Too few images have vectors of both" in results["p95"].sentence


@pytest.mark.parametrize(
    ("require", "message"),
    [
        ("overlp=0.3", "no gate 'overlp': use filled, errors, p95, precision, overlap"),
        ("overlap", "gate 'overlap' has no bound"),
        ("overlap=", "overlap takes a number from 0 to 1 "),
        ("overlap=many", "overlap takes a number from 0 to 1 "),
        ("overlap=nan", "overlap takes a number"),
        ("overlap=1.5", "overlap takes a number"),
        ("precision=-2", "precision takes a number from -1 to 1"),
        ("p95=0", "p95 takes a number from 0.01 to 1000"),
        ("errors=-1", "errors takes a number"),
        ("filled=1,filled=0.9", "filled is named twice"),
        ({"overlap": True}, "overlap takes a number"),
        ({"overlap": None}, "overlap takes a number"),
    ],
)
def test_requirements_that_make_no_sense(require: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Gates.parse(require)
