"""The report on duplicates: groups side by side, and what differs, as one self-contained file."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lookalike.duplicates.check import Duplicate
from lookalike.duplicates.comparer import Verdict
from lookalike.duplicates.groups import Group
from lookalike.errors import LookalikeError
from lookalike.output.html import inline, page, text
from lookalike.record import record_of

GROUPS = 200
"""Groups that a report shows: their pictures are inside it."""
COPIES = 8
"""Copies of one group that it shows."""

Picture = Callable[[Duplicate], bytes]
"""JPEG of an image; may raise LookalikeError."""

Difference = Callable[[Duplicate, Duplicate], bytes | None]
"""JPEG of what differs between a keeper and a copy laid over it; None where nothing is known."""

_MEANING = {
    Verdict.IDENTICAL: "the same bytes",
    Verdict.SAME_PIXELS: "the same pixels in another file",
    Verdict.SAME_PICTURE: "edited from one original",
    Verdict.SIMILAR: "no copy, only like it",
}


def report(groups: Sequence[Group], picture: Picture, difference: Difference) -> str:
    """The HTML of the report.

    Args:
        groups: all of them; the first `GROUPS` are shown.
        picture: of a member.
        difference: what to show between a keeper and its copy.
    """
    cards = "\n".join(
        _group(number, group, picture, difference)
        for number, group in enumerate(groups[:GROUPS], 1)
    )
    more = (
        f"<p class=more>And {len(groups) - GROUPS:,} groups more: the table (--csv, --json) has "
        "all of them.</p>"
        if len(groups) > GROUPS
        else ""
    )
    empty = "" if groups else "<p class=more>No image is a copy of another.</p>"
    return page("Duplicates", _summary(groups) + cards + more + empty, _STYLE)


def _summary(groups: Sequence[Group]) -> str:
    copies = [copy for group in groups for copy in group.copies]
    counts = {verdict: sum(copy.verdict is verdict for copy in copies) for verdict in Verdict}
    spare = sum(_bytes(copy) for copy in copies if copy.verdict is not Verdict.SIMILAR)
    kinds = "".join(
        f"<li><b class={verdict}>{verdict}</b> {count:,} · {_MEANING[verdict]}"
        for verdict, count in counts.items()
        if count
    )
    return f"""<p class=sum>{len(groups):,} groups, {len(copies):,} copies beside what is kept,
{_size(spare)} on the disk.</p><ul class=kinds>{kinds}</ul>"""


def _group(number: int, group: Group, picture: Picture, difference: Difference) -> str:
    shown = group.copies[:COPIES]
    copies = "\n".join(_copy(group, copy, picture, difference) for copy in shown)
    rest = len(group.copies) - len(shown)
    more = f"<div class=rest>and {rest:,} more</div>" if rest else ""
    keeper = group.members[0]
    return f"""<section><h2>{number}</h2>
<figure class=keep>{_shown(keeper, picture)}
<figcaption><b class=kept>keep</b> {text(group.reason)}</figcaption>{_facts(keeper)}</figure>
<div class=copies>{copies}{more}</div></section>"""


def _copy(group: Group, copy: Duplicate, picture: Picture, difference: Difference) -> str:
    try:
        differing = difference(group.members[0], copy)
    except LookalikeError:
        differing = None
    beside = (
        f'<img class=diff src="{inline(differing)}" alt="what differs" '
        'title="where it differs from what is kept, laid over one another">'
        if differing
        else ""
    )
    return f"""<figure>{_shown(copy, picture, beside)}
<figcaption><b class={copy.verdict}>{copy.verdict}</b> {text(copy.evidence["why"])}</figcaption>
{_facts(copy)}</figure>"""


def _shown(match: Duplicate, picture: Picture, beside: str = "") -> str:
    try:
        shown = f'<img src="{inline(picture(match))}" alt="{text(match.id)}">'
    except LookalikeError as error:
        shown = f"<div class=gone>{text(str(error))}</div>"
    return f"<div class=pair><div class=picture>{shown}</div>{_boxed(beside)}</div>"


def _boxed(beside: str) -> str:
    return f"<div class=picture>{beside}</div>" if beside else ""


def _facts(match: Duplicate) -> str:
    image = record_of(match.payload)
    size = f"{image['width']:,} × {image['height']:,}"
    folder, _, name = match.uri.rpartition("/")
    return f"""<p><span>{size}</span><span>{text(image["format"])}</span>
<span>{_size(_bytes(match))}</span></p><p class=path title="{text(match.uri)}"><b>{text(name)}</b>
{text(folder)}</p>"""


def _bytes(match: Duplicate) -> int:
    return int(record_of(match.payload).get("bytes", 0))


def _size(count: float) -> str:
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    return (
        f"{count:.0f} {units[0]}"
        if units[0] == "bytes" or count >= 100
        else f"{count:.1f} {units[0]}"
    )


_STYLE = """body{max-width:1500px}
.sum{font-size:16px;margin:-8px 0 6px}.kinds{list-style:none;margin:0 0 26px;padding:0;
color:var(--soft);display:flex;flex-wrap:wrap;gap:4px 22px}
section{display:flex;gap:14px;margin:0 0 18px;padding:16px;background:var(--card);
border:1px solid var(--line);border-radius:14px}
h2{margin:0;min-width:26px;color:var(--soft);font-size:13px;font-weight:500;
font-variant-numeric:tabular-nums}
.copies{display:flex;flex-wrap:wrap;gap:18px;flex:1;min-width:0;padding-left:18px;
border-left:1px solid var(--line)}
figure{margin:0;width:190px;flex:none}
figure:has(.diff){width:384px}
.pair{display:flex;gap:4px}
.picture{width:190px;height:190px;background:#fff;border-radius:8px;overflow:hidden;
border:1px solid var(--line)}
.picture img{width:100%;height:100%;object-fit:contain;display:block}
.picture .diff{background:#111}
figcaption{margin:8px 0 2px;font-size:13px;overflow-wrap:anywhere}
figcaption b,.kinds b{padding:1px 8px;border-radius:9px;font-size:11.5px;font-weight:600;
color:#fff;background:#5b6472}
b.kept{background:#2c7a4b}b.identical{background:#8a3b3b}b.same-pixels{background:#a2612a}
b.same-picture{background:var(--accent);color:var(--card)}b.similar{background:#6b6b70}
figure p{margin:2px 0 0;color:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
figure p span{margin-right:10px}
.path{overflow:hidden;text-overflow:ellipsis;white-space:nowrap;direction:ltr}
.path b{color:var(--ink);font-weight:500}
.gone{padding:16px;color:#6b6b70;font-size:12px;overflow-wrap:anywhere}
.rest,.more{color:var(--soft);align-self:center}
"""
