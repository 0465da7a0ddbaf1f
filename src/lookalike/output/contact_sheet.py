"""The contact sheet: searches and their pictures as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from lookalike.errors import LookalikeError
from lookalike.output.html import inline, page, text
from lookalike.output.labels import _how, caption, details
from lookalike.record import record_of
from lookalike.types import Hit, Hits

Thumbnail = Callable[[str], bytes]
"""JPEG of an image by its id; may raise LookalikeError."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One search on the sheet.

    Attributes:
        title: what was asked, in words.
        hits: the answer.
        queries: JPEGs of the query images.
        swatches: colors that were asked for, as "#rrggbb".
    """

    title: str
    hits: Hits
    queries: Sequence[bytes] = ()
    swatches: Sequence[str] = ()


def contact_sheet(panels: Sequence[Panel], thumbnail: Thumbnail) -> str:
    """The HTML of the sheet; everything it shows is inside it."""
    body = "\n".join(_panel(panel, thumbnail) for panel in panels)
    return page("lookalike", body, _STYLE)


def _panel(panel: Panel, thumbnail: Thumbnail) -> str:
    weights = " · ".join(f"{name} {weight:.0%}" for name, weight in panel.hits.weights.items())
    note = "" if panel.hits.complete else " · not proved complete"
    asked = "".join(f'<i style="background:{escape(color)}"></i>' for color in panel.swatches)
    for picture in panel.queries:
        asked += f'<img src="{inline(picture)}" alt="a query image">'
    cards = "\n".join(_card(rank, hit, thumbnail) for rank, hit in enumerate(panel.hits, 1))
    empty = "" if panel.hits else "<p class=empty>No image passes.</p>"
    return f"""<section>
<header><div class=asked>{asked}</div><div><h2>{text(panel.title)}</h2>
<p>{len(panel.hits)} images · {weights} · {panel.hits.took_ms:.1f} ms{note}</p></div></header>
{_how(panel.hits)}
<div class=grid>{cards}</div>{empty}
</section>"""


def _card(rank: int, hit: Hit, thumbnail: Thumbnail) -> str:
    try:
        picture = f'<img loading=lazy src="{inline(thumbnail(hit.id))}" alt="{text(hit.id)}">'
    except LookalikeError as error:
        picture = f"<div class=gone>{text(str(error))}</div>"
    bars = "".join(
        f'<div class=bar title="{text(name)}: similarity {score:.4f}, {hit.shares[name]:.0%} of '
        f'what this hit stands above a random image"><span>{text(name)}</span>'
        f'<b><u style="width:{hit.shares[name]:.1%}"></u></b><em>{score:.2f}</em></div>'
        for name, score in hit.scores.items()
    )
    colors = "".join(
        f'<i style="background:{escape(str(color["hex"]))};flex:{color["share"]}"></i>'
        for color in record_of(hit.payload).get("colors", ())
    )
    name, score = text(caption(hit.id, hit.payload)), f"{hit.score:.3f}"
    variants = f"<mark>+{len(hit.variants)}</mark>" if hit.variants else ""
    return f"""<figure><div class=picture>{picture}{variants}</div><div class=colors>{colors}</div>
<figcaption><b>{rank}</b> <span title="{text(hit.id)}">{name}</span><s>{score}</s></figcaption>
<p>{text(details(hit.payload))}</p>{bars}</figure>"""


_STYLE = """section{margin:0 0 40px}
header{display:flex;gap:16px;align-items:center;margin:0 0 14px}
header h2{font-size:17px;font-weight:600;margin:0}
header p{margin:2px 0 0;color:var(--soft)}
.asked{display:flex;gap:8px}.asked img,.asked i{height:72px;width:72px;border-radius:10px;
object-fit:contain;background:#fff;border:1px solid var(--line);display:block}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(205px,1fr));gap:14px}
figure{margin:0;padding:0 0 10px;background:var(--card);border:1px solid var(--line);
border-radius:12px;overflow:hidden}
.picture{position:relative;aspect-ratio:1;background:#fff}
.picture img{position:absolute;inset:0;width:100%;height:100%;object-fit:contain}
.gone{padding:16px;color:#6b6b70;font-size:12px;overflow-wrap:anywhere}
.colors{display:flex;height:5px}.colors i{display:block}
figcaption{display:flex;gap:6px;padding:9px 12px 0;align-items:baseline}
figcaption b{color:var(--soft);font-weight:500}
figcaption span{flex:1;font-weight:600;overflow:hidden;text-overflow:ellipsis;white-space:nowrap;
font-size:13px}
figcaption s{text-decoration:none;font-variant-numeric:tabular-nums;color:var(--accent);
font-weight:600}
figure p{margin:1px 12px 5px;color:var(--soft);font-size:12px;overflow:hidden;
text-overflow:ellipsis;white-space:nowrap;min-height:17px}
.bar{display:flex;gap:8px;align-items:center;padding:1px 12px;font-size:11px;color:var(--soft)}
.bar span{width:52px}.bar b{flex:1;height:4px;background:var(--line);border-radius:2px}
.bar u{display:block;height:100%;background:var(--accent);border-radius:2px}
.bar em{font-style:normal;font-variant-numeric:tabular-nums}
.picture mark{position:absolute;right:8px;bottom:8px;padding:1px 7px;border-radius:9px;
background:var(--ink);color:var(--card);font-size:11px;font-weight:600}
details{margin:-6px 0 14px;color:var(--soft);font-size:13px}
summary{cursor:pointer}
details table{border-collapse:collapse;margin:8px 0 2px}
details td,details th{padding:3px 18px 3px 0;text-align:left;font-weight:400;vertical-align:top;
font-variant-numeric:tabular-nums}
details tr:first-child th{font-size:11px;text-transform:uppercase;letter-spacing:.05em}
.empty{color:var(--soft)}
"""
