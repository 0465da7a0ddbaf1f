"""Commands that find images: search, recommend, batch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.console import console, fail, note, print_json
from lookalike.cli.opening import open_index, readable, writable
from lookalike.cli.options import (
    Numbers,
    index_option,
    json_option,
    model_dir_option,
    ranking_options,
)
from lookalike.errors import InputError, LookalikeError

if TYPE_CHECKING:
    from lookalike.index import Index
    from lookalike.types import Hits

SHOWN = 6
"""Query images that a contact sheet shows."""


@click.command()
@click.option("--image", "images", multiple=True, metavar="FILE", help="Like this; - is stdin.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Like this image of the index.")
@click.option("--text", "texts", multiple=True, metavar="T", help="What these words say.")
@click.option("--negative-text", multiple=True, metavar="T", help="And not what these words say.")
@click.option(
    "--color", "colors", multiple=True, metavar="NAME|#HEX[=SHARE]", help="In this color."
)
@click.option("--crop", type=Numbers(), metavar="X,Y,W,H", help="The part that counts: 0 to 1.")
@ranking_options
def search(
    images: tuple[str, ...],
    ids: tuple[str, ...],
    texts: tuple[str, ...],
    negative_text: tuple[str, ...],
    colors: tuple[str, ...],
    crop: list[float] | None,
    **options: Any,
) -> None:
    """Finds the images nearest to pictures, images of the index, words, or colors.

    The options up to --color can be repeated and mixed.
    """
    pictures = [sys.stdin.buffer.read() if image == "-" else image for image in images]
    named = ["standard input" if image == "-" else image for image in images]
    parts = [
        *(f"like {name}" for name in [*named, *ids]),
        *(f"“{text}”" for text in texts),
        *(f"not “{text}”" for text in negative_text),
        *([f"in {' and '.join(colors)}"] if colors else []),
    ]
    asked = {
        "image": pictures,
        "id": ids,
        "text": texts,
        "negative_text": negative_text,
        "color": colors,
        "crop": crop,
    }
    _find("search", asked, ", ".join(parts), pictures, ids, colors, **options)


@click.command()
@click.option("--like", "likes", multiple=True, metavar="ID|FILE|text:T", help="An example.")
@click.option("--unlike", "unlikes", multiple=True, metavar="ID|FILE|text:T", help="And not this.")
@click.option(
    "--strategy",
    type=click.Choice(["average", "best", "sum"]),
    default="average",
    show_default=True,
    help="How examples count together.",
)
@ranking_options
def recommend(
    likes: tuple[str, ...], unlikes: tuple[str, ...], strategy: str, **options: Any
) -> None:
    """Finds images like some examples and unlike others; both options can be repeated."""
    parts = [*(f"like {one}" for one in likes), *(f"not like {one}" for one in unlikes)]
    asked = {"like": likes, "unlike": unlikes, "strategy": strategy}
    _find("recommend", asked, ", ".join(parts), likes, likes, (), **options)


@click.command()
@click.argument("file")
@index_option
@json_option
@model_dir_option
def batch(file: str, url: str | None, as_json: bool, model_dir: str | None) -> None:
    """Runs the searches in FILE, one JSON object a line; - reads standard input.

    An object holds the keywords of the Python library: {"id": "sku-17", "limit": 5}.
    """
    from lookalike.output import documents

    started, answers, failed, count = time.perf_counter(), [], 0, 0
    with readable(file) as lines, open_index(url, model_dir=model_dir) as index:
        for several in _chunks(lines, 256):
            for answer in index.search_many(several):
                count += 1
                if isinstance(answer, LookalikeError):
                    failed += 1
                    document: dict[str, Any] = {"error": str(answer)}
                else:
                    document = documents.of_hits(answer)
                if as_json:
                    answers.append(document)
                else:
                    print_json(document)
    seconds = time.perf_counter() - started
    if as_json:
        speed = round(count / seconds, 1)
        print_json({"answers": answers, "seconds": round(seconds, 3), "queries_per_second": speed})
    note(f"{count:,} queries in {seconds:.1f} s, {count / seconds:,.0f} a second")
    if failed:
        fail(f"{failed:,} of {count:,} queries failed; their answers say why.", 1)


def _find(
    method: str,
    asked: Mapping[str, Any],
    title: str,
    pictures: Sequence[str | bytes],
    ids: Sequence[str],
    colors: Sequence[str],
    *,
    url: str | None,
    preset: str | None,
    weights: dict[str, str] | None,
    explain: bool,
    as_json: bool,
    html: str | None,
    model_dir: str | None,
    **options: Any,
) -> None:
    """Asks the index by one of its methods, and prints the answer."""
    from lookalike.cli.terminal import results
    from lookalike.output import documents
    from lookalike.output.labels import search_cost

    if preset and weights:
        raise InputError("--preset and --weights both say what counts: give one of them.")
    chosen = preset or (_numbers(weights) if weights else None)
    title += f", where {options['where']}" if options["where"] else ""
    with writable(html) as sheet, open_index(url, model_dir=model_dir) as index:
        hits = getattr(index, method)(weights=chosen, **asked, **options)
        if html:
            sheet.write(_sheet(index, title, hits, pictures, ids, colors))
    if as_json:
        print_json(documents.of_hits(hits))
        return
    console().print(results.hits_table(title, hits))
    if explain:
        console().print(
            results.shares_table(hits), "", results.plan_table(hits), search_cost(hits), ""
        )
    click.echo(results.hits_footer(hits))
    if html:
        click.echo(f"contact sheet: {html}")


def _sheet(
    index: Index,
    title: str,
    hits: Hits,
    pictures: Sequence[str | bytes],
    ids: Sequence[str],
    colors: Sequence[str],
) -> str:
    """The contact sheet of an answer."""
    from lookalike.output.contact_sheet import Panel, contact_sheet
    from lookalike.search.colors import swatches

    shown = []
    for id in ids:
        with suppress(InputError):  # its file may be gone, or it is no id of the index
            shown.append(index.thumbnail(id))
    for picture in pictures:
        with suppress(InputError):
            shown.append(index.preview(picture))
    panel = Panel(title, hits, shown[:SHOWN], swatches(colors))
    return contact_sheet([panel], index.thumbnail)


def _chunks(lines: Iterable[str], size: int) -> Iterator[list[dict[str, Any]]]:
    """The queries in the lines of a file, some at a time."""
    several: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            query = json.loads(line)
        except ValueError:
            query = None
        if not isinstance(query, dict):
            raise InputError(f"Line {number} of the queries is no JSON object: {line.strip()[:60]}")
        several.append(query)
        if len(several) == size:
            yield several
            several = []
    if several:
        yield several


def _numbers(pairs: Mapping[str, str]) -> dict[str, float]:
    """What `--weights` says, as numbers."""
    try:
        return {name: float(value) for name, value in pairs.items()}
    except ValueError as error:
        raise InputError(f"A weight is a number, as in semantic=0.8: {error}.") from None
