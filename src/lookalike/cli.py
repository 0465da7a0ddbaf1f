"""The command line: parse, call, print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from lookalike.errors import InputError, LookalikeError

if TYPE_CHECKING:
    from rich.console import Console

    from lookalike.index import Index
    from lookalike.ingest import IngestReport
    from lookalike.types import Hits, Limits

F = TypeVar("F", bound=Callable[..., Any])

INTERRUPTED = 130
"""The exit code of a command that Ctrl-C ended, as shells know it."""


class Pairs(click.ParamType[dict[str, str]]):
    """`name=value,name=value` as a mapping."""

    name = "name=value,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> dict[str, str]:
        if isinstance(value, dict):
            return value
        pairs = {}
        for pair in str(value).split(","):
            name, equals, given = pair.partition("=")
            if not equals or not name.strip():
                self.fail(f"{pair!r} is not NAME=VALUE.", param, ctx)
            pairs[name.strip()] = given.strip()
        return pairs


def index_option(command: F) -> F:
    return click.option(
        "--index",
        "url",
        metavar="INDEX",
        help="The index: a folder. Default: LOOKALIKE_INDEX, else one in your data folder.",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def where_option(command: F) -> F:
    return click.option(
        "--where", metavar="EXPR", help='A filter: price < 100 and category = "dress".'
    )(command)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="lookalike", message="lookalike %(version)s")
def cli() -> None:
    """Finds images that look alike: by picture, words, colour, texture, or any mix of them.

    \b
      lookalike index photos/ --metadata catalog.csv
      lookalike search --image query.jpg --where "price < 100" --html result.html
    """


@cli.command("index")
@click.argument("paths", nargs=-1, required=True, metavar="PATH…")
@index_option
@click.option("--metadata", metavar="FILE", help="CSV, JSON Lines or Parquet; rows name images.")
@click.option("--id-field", metavar="F", help="The column that holds ids. Default: id.")
@click.option(
    "--field", "fields", multiple=True, metavar="NAME=TYPE", help="A column's type; repeatable."
)
@click.option("--model", metavar="NAME", help="Of a new index: clip, layout, or FastEmbed's name.")
@click.option("--model-dir", metavar="DIR", help="Folder with the model's files.")
@click.option("--prune", is_flag=True, help="Remove images that the paths no longer hold.")
@click.option("--rejects", metavar="FILE", help="Write what was refused, as JSON Lines.")
@click.option(
    "--limits",
    type=Pairs(),
    metavar="NAME=N,…",
    help="What to refuse: pixels=128000000,bytes=67108864,aspect=100,seconds=20.",
)
@click.option(
    "--threads",
    type=click.IntRange(1),
    metavar="N",
    help="Images in work at a time. Default: cores + 1.",
)
@json_option
def index_command(
    paths: tuple[str, ...],
    url: str | None,
    metadata: str | None,
    id_field: str | None,
    fields: tuple[str, ...],
    model: str | None,
    model_dir: str | None,
    prune: bool,
    rejects: str | None,
    limits: dict[str, str] | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Adds images, or brings them up to date. PATH is a folder, a file or a glob."""
    from lookalike import render

    console = _console(stderr=True)
    types = dict(_pair(field, "--field") for field in fields)
    options = {"model": model, "model_dir": model_dir, "threads": threads}
    with (
        _writable(rejects) as rejects_file,
        _open(url, create=True, limits=_limits(limits), **options) as index,
    ):
        if index.notice:
            _note(index.notice)
        with render.progress_bar(console) as progress:
            report = index.add(
                *paths,
                metadata=metadata,
                id_field=id_field,
                field_types=types,
                prune=prune,
                progress=progress,
            )
        for reject in report.rejects if rejects_file else ():
            rejects_file.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")
    if as_json:
        _print_json(_report_json(report))
    else:
        for line in render.summary(report):
            click.echo(line)
    if report.interrupted:
        _note("Stopped. Run the same command again to go on where it stopped.")
        sys.exit(INTERRUPTED)
    if report.rejected and report.rejected == report.done:
        _fail("None of the images could be read; the reasons are above.", 1)


@cli.command()
@index_option
@click.option("--image", metavar="FILE", help="Like this picture; - reads standard input.")
@click.option("--id", metavar="ID", help="Like this image of the index.")
@click.option("--text", metavar="T", help="What these words say, where the model knows words.")
@click.option(
    "--color", "colors", multiple=True, metavar="NAME|#HEX", help="In this colour; repeatable."
)
@click.option("--preset", metavar="NAME", help="Weights by name: style, color, material, balanced.")
@click.option("--weights", type=Pairs(), metavar="ASPECT=W,…", help="semantic=0.8,color=0.2")
@where_option
@click.option("-k", "limit", default=10, metavar="N", show_default=True, help="How many.")
@click.option("--offset", default=0, metavar="N", show_default=True, help="Skip the best N.")
@json_option
@click.option("--html", metavar="FILE", help="Write a contact sheet.")
@click.option("--model-dir", metavar="DIR", help="Where the index's model is now.")
def search(
    url: str | None,
    image: str | None,
    id: str | None,
    text: str | None,
    colors: tuple[str, ...],
    preset: str | None,
    weights: dict[str, str] | None,
    where: str | None,
    limit: int,
    offset: int,
    as_json: bool,
    html: str | None,
    model_dir: str | None,
) -> None:
    """Finds the images nearest to a picture, an image of the index, words, or colours."""
    from lookalike import render

    if preset and weights:
        raise InputError("--preset and --weights both say what counts: give one of them.")
    picture = sys.stdin.buffer.read() if image == "-" else image
    with _open(url, model_dir=model_dir) as index:
        hits = index.search(
            image=picture,
            id=id,
            text=text,
            color=colors,
            weights=preset or (_numbers(weights) if weights else None),
            where=where,
            limit=limit,
            offset=offset,
        )
        title = _title(image, id, text, colors, where)
        if html:
            _write_sheet(index, html, title, hits, picture, id, colors)
    if as_json:
        _print_json(_hits_json(hits))
        return
    _console().print(render.hits_table(title, hits))
    click.echo(render.hits_footer(hits))
    if html:
        click.echo(f"contact sheet: {html}")


@cli.command()
@click.argument("id")
@index_option
@click.option("--vectors", is_flag=True, help="Include the vectors (with --json).")
@json_option
def show(id: str, url: str | None, vectors: bool, as_json: bool) -> None:
    """Shows everything known of one image."""
    from lookalike import render

    with _open(url) as index:
        point = index.get(id, vectors=vectors)
    if as_json:
        named = {name: vector.tolist() for name, vector in point.vectors.items()}
        _print_json(
            {"id": point.id, "payload": point.payload} | ({"vectors": named} if named else {})
        )
    else:
        _console().print(render.point_table(point))


@cli.command()
@click.argument("field")
@index_option
@where_option
@click.option("-k", "limit", default=100, metavar="N", show_default=True, help="How many values.")
@json_option
def facets(field: str, url: str | None, where: str | None, limit: int, as_json: bool) -> None:
    """Counts the values of a field, most frequent first."""
    from lookalike import render

    with _open(url) as index:
        values = index.facets(field, where=where, limit=limit)
    if as_json:
        _print_json({"field": field, "values": [{"value": v, "count": n} for v, n in values]})
        return
    for value, count in values:
        click.echo(f"{count:>10,}  {render.printable(str(value))}")


@cli.command()
@click.argument("id")
@index_option
@click.option(
    "--set", "pairs", multiple=True, required=True, metavar="K=V", help="Nothing after = removes."
)
def update(id: str, url: str | None, pairs: tuple[str, ...]) -> None:
    """Sets fields of one image."""
    fields = {name: value or None for name, value in (_pair(pair, "--set") for pair in pairs)}
    with _open(url) as index:
        index.update(id, fields)
    click.echo(f"updated {id}")


@cli.command()
@click.argument("ids", nargs=-1, required=True, metavar="ID…")
@index_option
def delete(ids: tuple[str, ...], url: str | None) -> None:
    """Removes images from the index; their files stay."""
    with _open(url) as index:
        removed = index.delete(ids)
    click.echo(f"removed {removed:,} of {len(ids):,}")


@cli.command()
@index_option
@json_option
def stats(url: str | None, as_json: bool) -> None:
    """Shows what the index holds."""
    from lookalike import render

    with _open(url) as index:
        found = index.stats()
    if as_json:
        _print_json(found)
    else:
        _console().print(render.stats_table(found))


@cli.command()
@index_option
def optimize(url: str | None) -> None:
    """Builds the search graph now; `index` does so by itself."""
    with _open(url) as index:
        index.optimize()
    click.echo("optimized")


@cli.command()
@click.argument("folder", required=False)
@index_option
@click.option("--html", metavar="FILE", help="Where the contact sheet goes.")
@click.option("--model", metavar="NAME", help="As of `index`.")
@click.option("--model-dir", metavar="DIR", help="As of `index`.")
def demo(
    folder: str | None, url: str | None, html: str | None, model: str | None, model_dir: str | None
) -> None:
    """Indexes FOLDER, or a catalogue that it draws, and shows searches on it."""
    from lookalike import demo as show_demo
    from lookalike import render
    from lookalike.sheet import contact_sheet

    console = _console(stderr=True)
    workspace = show_demo.workspace()
    with render.count_bar(console, "drawing a catalogue") as drawn:
        images, metadata = show_demo.catalog(folder, workspace, drawn)
    place = url or str(show_demo.index_path(images, workspace))
    with _open(place, create=True, model=model, model_dir=model_dir) as index:
        if index.notice:
            _note(index.notice)
        with render.progress_bar(console) as progress:
            report = index.add(images, metadata=metadata, progress=progress)
        for line in render.summary(report):
            click.echo(line)
        panels = show_demo.searches(index)
        sheet = Path(html) if html else workspace / "contact-sheet.html"
        sheet.write_text(contact_sheet(panels, index.thumbnail), encoding="utf-8")
    for panel in panels:
        click.echo()
        _console().print(render.hits_table(panel.title, panel.hits))
        click.echo(render.hits_footer(panel.hits))
    click.echo(f"\ncontact sheet: {sheet}\nsearch on:     lookalike search --index {place} …")


def main() -> NoReturn:
    """Runs the command line. Exit code 0 for success, 2 for misuse, 1 for failure."""
    try:
        code = cli.main(standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message(), 2)
    except InputError as error:
        _fail(str(error), 2)
    except LookalikeError as error:
        _fail(str(error), 1)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    sys.exit(code if isinstance(code, int) else 0)


# --- inside ---------------------------------------------------------------------------------


def _open(url: str | None, *, create: bool = False, **options: Any) -> Index:
    from lookalike.index import Index
    from lookalike.settings import Settings

    settings = Settings.from_environment()
    return Index.open(
        url or settings.index,
        create=create,
        cache_dir=settings.cache_dir,
        hub=settings.hub,
        **options,
    )


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, soft_wrap=False)


def _print_json(document: Any) -> None:
    click.echo(json.dumps(document, ensure_ascii=False))


def _note(line: str) -> None:
    click.echo(line, err=True)


def _fail(message: str, code: int) -> NoReturn:
    from lookalike.render import printable

    click.echo(f"lookalike: {printable(message)}", err=True)
    sys.exit(code)


def _report_json(report: IngestReport) -> dict[str, Any]:
    return {
        "added": report.added,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "rejected": report.rejected,
        "removed": report.removed,
        "seconds": round(report.seconds, 3),
        "images_per_second": round(report.images_per_second, 1),
        "model": report.model,
        "rejects": [asdict(reject) for reject in report.rejects],
        "warnings": [asdict(warning) for warning in report.warnings],
    }


def _hits_json(hits: Hits) -> dict[str, Any]:
    return {
        "hits": [asdict(hit) for hit in hits],
        "complete": hits.complete,
        "weights": hits.weights,
        "took_ms": round(hits.took_ms, 3),
    }


def _title(
    image: str | None, id: str | None, text: str | None, colors: tuple[str, ...], where: str | None
) -> str:
    asked = [
        f"like {'standard input' if image == '-' else image}" if image else "",
        f"like {id}" if id else "",
        f"“{text}”" if text else "",
        f"in {' and '.join(colors)}" if colors else "",
        f"where {where}" if where else "",
    ]
    return ", ".join(part for part in asked if part)


def _write_sheet(
    index: Index,
    file: str,
    title: str,
    hits: Hits,
    picture: str | bytes | None,
    id: str | None,
    colors: tuple[str, ...],
) -> None:
    from lookalike.query import swatch
    from lookalike.sheet import Panel, contact_sheet

    shown = None
    with suppress(InputError):  # an image of the index whose file is gone can still be asked by
        shown = index.preview(picture) if picture else index.thumbnail(id) if id else None
    panel = Panel(title, hits, shown, [swatch(color) for color in colors])
    html = contact_sheet([panel], index.thumbnail)
    with _writable(file) as out:
        out.write(html)


def _writable(file: str | None) -> Any:
    """The file opened for writing, before any work is done for it."""
    if file is None:
        return nullcontext()
    try:
        return Path(file).open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{file} cannot be written ({error.strerror}): name another file."
        ) from None


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise InputError(f"{option} {text!r} is not NAME=VALUE.")
    return name, value


def _numbers(pairs: Mapping[str, str]) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in pairs.items()}
    except ValueError as error:
        raise InputError(f"A weight is a number, as in semantic=0.8: {error}.") from None


def _limits(pairs: dict[str, str] | None) -> Limits | None:
    from lookalike.types import Limits

    if pairs is None:
        return None
    known = {"pixels": int, "bytes": int, "aspect": float, "seconds": float}
    try:
        given = {name: known[name](float(value)) for name, value in pairs.items()}
    except KeyError as error:
        raise InputError(f"There is no limit {error}; there are {', '.join(known)}.") from None
    except (ValueError, OverflowError):
        raise InputError(f"--limits takes numbers, not {pairs}.") from None
    if any(not value > 0 for value in given.values()):
        raise InputError(f"--limits takes numbers above 0, not {pairs}.")
    return Limits(**given)
