"""Commands that find images: search, recommend, batch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from lookalike.cli.console import console, fail, note, print_json, print_table
from lookalike.cli.opening import open_index, readable, writable
from lookalike.cli.options import (
    F,
    declared_options,
    index_option,
    json_option,
    model_dir_option,
)
from lookalike.errors import InputError, LookalikeError
from lookalike.search.request import ExampleOptions, RecommendOptions, SearchOptions

if TYPE_CHECKING:
    from lookalike.index import Index
    from lookalike.search.hits import Hits

SHOWN = 6
"""Query images that a contact sheet shows."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The subject of a search, as a contact sheet shows it.

    Attributes:
        title: the search in words.
        pictures: query images: files, or their bytes; others are passed over.
        ids: images of the index; other texts are passed over.
        colors: the palette.
    """

    title: str
    pictures: Sequence[str | bytes]
    ids: Sequence[str]
    colors: Sequence[str] = ()


def output_options(command: F) -> F:
    """Options for the index to search and for the output."""
    for option in reversed(
        [
            index_option,
            click.option("--explain", is_flag=True, help="Explain each result."),
            json_option,
            click.option("--html", metavar="FILE", help="Write a contact sheet."),
            model_dir_option,
        ]
    ):
        command = option(command)
    return command


@click.command()
@declared_options(SearchOptions)
@output_options
def search(image: tuple[str, ...], **options: Any) -> None:
    """Finds the images nearest to pictures, images of the index, text, or colors.

    The options up to --color can be repeated and mixed; --image - reads standard input.
    """
    pictures = [sys.stdin.buffer.read() if one == "-" else one for one in image]
    names = ["standard input" if one == "-" else one for one in image]
    colors, ids = options["color"], options["id"]
    parts = [
        *(f"like {name}" for name in [*names, *ids]),
        *(f"“{text}”" for text in options["text"]),
        *(f"not “{text}”" for text in options["negative_text"]),
        *(["like a vector"] if options["vector"] else []),
        *([f"in {' and '.join(colors)}"] if colors else []),
    ]
    _find("search", Subject(", ".join(parts), pictures, ids, colors), image=pictures, **options)


@click.command()
@declared_options(ExampleOptions, RecommendOptions)
@output_options
def recommend(like: tuple[str, ...], unlike: tuple[str, ...], **options: Any) -> None:
    """Finds images like some examples and unlike others; --like and --unlike can be repeated.

    What a search was about can be given beside them, as to `search`.
    """
    colors, ids, pictures = options["color"], options["id"], options["image"]
    parts = [
        *(f"like {one}" for one in (*pictures, *ids, *like)),
        *(f"“{text}”" for text in options["text"]),
        *(f"not like {one}" for one in unlike),
        *([f"in {' and '.join(colors)}"] if colors else []),
    ]
    subject = Subject(", ".join(parts), [*pictures, *like], [*ids, *like], colors)
    _find("recommend", subject, like=like, unlike=unlike, **options)


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
    from lookalike.system import text

    started, answers, failed, count = time.perf_counter(), [], 0, 0
    with readable(file) as lines, open_index(url, model_dir=model_dir) as index:
        for several in _chunks(lines, 256):
            found = iter(index.search_many([one for one in several if isinstance(one, dict)]))
            for answer in (next(found) if isinstance(one, dict) else one for one in several):
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
    done = text.count(count, "query", "queries")
    note(f"{done} in {seconds:.1f} s, {count / seconds:,.0f} a second")
    if failed:
        fail(f"{failed:,} of {count:,} queries failed; their answers say why.", 1)


def _find(
    method: str,
    subject: Subject,
    *,
    url: str | None,
    explain: bool,
    as_json: bool,
    html: str | None,
    model_dir: str | None,
    **options: Any,
) -> None:
    """Calls a method of the index, and prints the answer."""
    from lookalike.cli.terminal import results
    from lookalike.output import documents
    from lookalike.output.labels import search_cost

    title = ", ".join(
        [
            *([subject.title] if subject.title else []),
            *([f"where {options['where']}"] if options["where"] else []),
            *([f"sorted by {options['sort']}"] if options["sort"] else []),
        ]
    )
    options = {name: value for name, value in options.items() if value not in (None, (), [])}
    opened = open_index(url, model_dir=model_dir, allow_url_fetch=True)
    with writable(html) as sheet, opened as index:
        hits = getattr(index, method)(**options)
        if html:
            sheet.write(_sheet(index, title, hits, subject))
    if as_json:
        print_json(documents.of_hits(hits))
        return
    print_table(results.hits_table(hits, clipped=console().is_terminal), title)
    if explain:
        for table in (results.shares_table(hits), results.plan_table(hits)):
            print_table(table)
            click.echo()
        click.echo(f"{search_cost(hits)}\n\n{hits.explanation.reason}")
    click.echo(results.hits_footer(hits))
    if html:
        click.echo(f"contact sheet: {html}")


def _sheet(index: Index, title: str, hits: Hits, subject: Subject) -> str:
    """The contact sheet of an answer."""
    from lookalike.output.contact_sheet import Panel, contact_sheet
    from lookalike.search.colors import swatches

    shown = []
    for id in subject.ids:
        with suppress(InputError):  # its file may be gone, or it is no id of the index
            shown.append(index.thumbnail(id))
    for picture in subject.pictures:
        with suppress(InputError):
            shown.append(index.preview(picture))
    panel = Panel(title, hits, shown[:SHOWN], swatches(subject.colors))
    return contact_sheet([panel], index.thumbnail)


def _chunks(lines: Iterable[str], size: int) -> Iterator[list[dict[str, Any] | InputError]]:
    """Queries from the lines of a file, in chunks; an error in place of a line that is none."""
    several: list[dict[str, Any] | InputError] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        several.append(_query(line, number))
        if len(several) == size:
            yield several
            several = []
    if several:
        yield several


def _query(line: str, number: int) -> dict[str, Any] | InputError:
    from lookalike.fields import is_unicode

    if not is_unicode(line):
        return InputError(f"Line {number} is not UTF-8 text: save the file as UTF-8.")
    with suppress(ValueError, RecursionError):
        query = json.loads(line)
        if isinstance(query, dict):
            return query
    return InputError(f"Line {number} is not a JSON object: {line.strip()[:60]}")
