"""Gates: the conditions under which a new model may replace the old one."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lookalike.errors import InputError
from lookalike.search.model_comparison import ModelComparison
from lookalike.system.text import count

DEFAULTS: Mapping[str, float] = {"filled": 0.999, "errors": 0, "p95": 1.2, "precision": -0.01}
"""The gates that always hold, with their bounds."""

_LEAST_DELAY = 1.0
"""Milliseconds by which a search may be slower whatever the ratio, unless a ratio is required: in a
small index it takes less than one, and a vector of more dimensions longer."""

Measurement = tuple[float, bool, str]
"""The measured value, whether it passes, and a sentence."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the gates look at.

    Attributes:
        filled: number of images with a vector of the new model.
        images: number of images.
        errors: number of images that the new model failed on.
        comparison: the shadow queries; None where too few images have both vectors to compare. That
            is no objection to an index of fewer than two.
    """

    filled: int
    images: int
    errors: int
    comparison: ModelComparison | None


@dataclass(frozen=True, slots=True)
class GateResult:
    """The verdict of one gate.

    Attributes:
        name: the gate.
        wanted: its bound.
        measured: the measured value; None if it could not be measured.
        passed: whether the new model may replace the old one as far as this gate is concerned.
        sentence: measured and wanted value in words.
    """

    name: str
    wanted: float
    measured: float | None
    passed: bool
    sentence: str


@dataclass(frozen=True, slots=True)
class Gates:
    """The gates of a cut-over.

    Attributes:
        bounds: the bound of each gate by name.
        required: names of those that a person has set, which fail where they cannot be measured.
    """

    bounds: Mapping[str, float]
    required: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, require: str | Mapping[str, float] | None = None) -> Gates:
        """The default gates, changed and completed by those that a person requires.

        Args:
            require: bounds by name, also as text: "overlap=0.3,p95=1.5,precision=-0.02".

        Raises:
            InputError: an unknown gate, one named twice, or a bound that is not a possible one.
        """
        pairs = _split(require) if isinstance(require, str) else list((require or {}).items())
        bounds: dict[str, float] = {}
        for name, bound in pairs:
            if name not in _GATES:
                raise InputError(f"There is no gate {name!r:.80}: use {', '.join(_GATES)}.")
            if name in bounds:
                raise InputError(f"The gate {name} is named twice: give it one bound.")
            bounds[name] = _GATES[name].checked(name, bound)
        return cls({**DEFAULTS, **bounds}, frozenset(bounds))

    def check(self, evidence: Evidence) -> tuple[GateResult, ...]:
        """The verdict of every gate, those that always hold first."""
        return tuple(self._result(name, evidence) for name in _GATES if name in self.bounds)

    def _result(self, name: str, evidence: Evidence) -> GateResult:
        bound, required = self.bounds[name], name in self.required
        measured = _GATES[name].measure(evidence, bound, required)
        if measured is not None:
            return GateResult(name, bound, *measured)
        comparable = evidence.comparison is not None or evidence.images < 2
        passes = comparable and not required
        reason = _GATES[name].unmeasured if evidence.comparison else _NOT_COMPARED
        words = f"{reason}, so {'there is no such gate' if passes else 'the gate cannot pass'}."
        return GateResult(name, bound, None, passes, words)


# --- the gates ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Gate:
    """A gate.

    Attributes:
        least, most: the bounds that it may have.
        measure: measures it against a bound, which may be one that a person has set; None if it
            cannot be measured.
        unmeasured: the beginning of a sentence on a comparison that does not tell it.
    """

    least: float
    most: float
    measure: Callable[[Evidence, float, bool], Measurement | None]
    unmeasured: str = ""

    def checked(self, name: str, bound: object) -> float:
        """A bound as a number.

        Raises:
            InputError: the gate cannot have it.
        """
        try:
            number = float(bound)  # type: ignore[arg-type]
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not self.least <= number <= self.most or isinstance(bound, bool):
            raise InputError(
                f"The gate {name} takes a number from {self.least:g} to {self.most:g} (got "
                f"{bound!r:.80})."
            )
        return number


def _filled(evidence: Evidence, bound: float, required: bool) -> Measurement:
    share = evidence.filled / evidence.images if evidence.images else 1.0
    return (
        share,
        share >= bound,
        f"The new model has described {evidence.filled:,} of {count(evidence.images, 'image')}, "
        f"{_percent(share)} (at least {_percent(bound)}).",
    )


def _errors(evidence: Evidence, bound: float, required: bool) -> Measurement:
    failed = f"The new model failed on {count(evidence.errors, 'image')} (at most {bound:,g})."
    return evidence.errors, evidence.errors <= bound, failed


def _p95(evidence: Evidence, bound: float, required: bool) -> Measurement | None:
    if evidence.comparison is None:
        return None
    old, new = evidence.comparison.old.p95, evidence.comparison.new.p95
    ratio = new / old if old else 1.0
    slack = 0.0 if required else _LEAST_DELAY
    also = "" if required else f", or {slack:g} ms more"
    return (
        ratio,
        new <= old * bound or new <= old + slack,
        f"95 % of searches take at most {new:.1f} ms, and {old:.1f} ms with the old model: "
        f"{ratio:.2f} times as long (at most {bound:g} times{also}).",
    )


def _precision(evidence: Evidence, bound: float, required: bool) -> Measurement | None:
    if evidence.comparison is None or evidence.comparison.precision is None:
        return None
    precision = evidence.comparison.precision
    change = precision.new.mean - precision.old.mean
    return (
        change,
        change >= bound - 1e-9,
        f"{_percent(precision.new.mean)} of results share the query's {precision.field}, and "
        f"{_percent(precision.old.mean)} with the old model: {100 * change:+.1f} points (at least "
        f"{100 * bound:+g}).",
    )


def _overlap(evidence: Evidence, bound: float, required: bool) -> Measurement | None:
    if evidence.comparison is None:
        return None
    mean = evidence.comparison.overlap.mean
    words = f"{_percent(mean)} of results are those of the old model (at least {_percent(bound)})."
    return mean, mean >= bound, words


def _rank_overlap(evidence: Evidence, bound: float, required: bool) -> Measurement | None:
    if evidence.comparison is None:
        return None
    mean = evidence.comparison.rank_overlap.mean
    words = f"The rank-biased overlap with the old model is {mean:.3f} (at least {bound:g})."
    return mean, mean >= bound, words


_NOT_COMPARED = "Too few images have vectors of both models to compare them"

_GATES: Mapping[str, _Gate] = {
    "filled": _Gate(0, 1, _filled),
    "errors": _Gate(0, 10**12, _errors),
    "p95": _Gate(0.01, 1_000, _p95),
    "precision": _Gate(-1, 1, _precision, "No field of short texts tells which results are right"),
    "overlap": _Gate(0, 1, _overlap),
    "rank_overlap": _Gate(0, 1, _rank_overlap),
}


def _split(text: str) -> list[tuple[str, str]]:
    """The names and bounds in a text.

    Raises:
        InputError: a part has no bound.
    """
    pairs = []
    for part in filter(None, map(str.strip, text.split(","))):
        name, equals, bound = part.partition("=")
        if not equals:
            raise InputError(f"The gate {part!r:.80} has no bound: write it as in overlap=0.3.")
        pairs.append((name.strip(), bound.strip()))
    return pairs


def _percent(share: float) -> str:
    """A share in percent, never rounded up to 100."""
    percent = 100 * share
    return f"{math.floor(percent * 100) / 100:g} %" if share > 0.99 else f"{percent:.1f} %"
