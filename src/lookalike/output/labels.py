"""Captions and explanations shared by the contact sheet and the page."""

from __future__ import annotations

from typing import Any

from lookalike import record
from lookalike.output.html import text
from lookalike.types import Hits, Payload


def _how(hits: Hits) -> str:
    """What was compared with what, and what it took; folded until somebody asks."""
    rows = "".join(
        f"<tr><th>{text(name)}<td>{text(plan.target)}<td>{plan.weight:.0%}<td>"
        + ("" if plan.spread is None else f"{plan.mean:.3f} ± {plan.spread:.3f}")
        + f"<td>{plan.effective:.3f}</tr>"
        for name, plan in hits.explanation.aspects.items()
    )
    return f"""<details><summary>How these were found</summary><table>
<tr><th>aspect<th>near to<th>weight<th>random images<th>factor</tr>{rows}</table>
<p>{text(cost(hits))}</p></details>"""


def cost(hits: Hits) -> str:
    """What an answer took, in words."""
    how = hits.explanation
    rounds = f"{how.rounds} {'request' if how.rounds == 1 else 'requests'} to the engine"
    proposed = (
        f"{how.candidates:,} candidates an aspect, {how.compared:,} compared exactly, "
        if how.candidates
        else ""
    )
    stages = ", ".join(f"{stage} {spent:.1f} ms" for stage, spent in how.milliseconds.items())
    chance = "" if how.relevant_from is None else f"; relevant from {how.relevant_from:.3f}"
    return f"{proposed}{rounds}; {stages}{chance}"


def caption(id: str, payload: Payload) -> str:
    """A short name: the user's own `name` or `title`, else the end of the id."""
    for field in ("name", "title"):
        if isinstance(payload.get(field), str):
            return str(payload[field])
    return id.rpartition("/")[2]


def details(payload: Payload) -> str:
    """The user's fields as one line, the short and telling ones first."""
    shown = [
        _detail(name, value)
        for name, value in sorted(payload.items())
        if name not in (record.KEY, "name", "title") and value not in (None, "", [])
    ]
    return " · ".join(sorted(shown, key=len))


def _detail(name: str, value: Any) -> str:
    if isinstance(value, bool):
        plain = name.replace("_", " ")
        return plain if value else f"not {plain}"
    if isinstance(value, str):
        return value.removesuffix("T00:00:00Z")
    return ", ".join(value) if isinstance(value, list) else f"{name} {value}"
