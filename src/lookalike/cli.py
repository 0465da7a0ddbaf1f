"""The command line: parse, call, print."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from lookalike.errors import InputError, LookalikeError

if TYPE_CHECKING:
    from rich.console import Console

    from lookalike.index import Index
    from lookalike.transfer import Place, Progress, Transfer
    from lookalike.types import Hits, Limits

F = TypeVar("F", bound=Callable[..., Any])

SHOWN = 6
"""Query images that a contact sheet shows."""

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


class Numbers(click.ParamType[list[float]]):
    """`0.1,0.2,0.5,0.5` as numbers."""

    name = "number,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> list[float]:
        try:
            return [float(number) for number in str(value).split(",")]
        except ValueError:
            self.fail(f"{value!r} is not a list of numbers such as 0.1,0.2,0.5,0.5.", param, ctx)


def index_option(command: F) -> F:
    return click.option(
        "--index",
        "url",
        metavar="INDEX",
        help="The index: a folder, or http://host:6333/collection. Default: LOOKALIKE_INDEX, else "
        "a folder in your data folder.",
    )(command)


def server_option(command: F) -> F:
    return click.option(
        "--server",
        type=Pairs(),
        metavar="NAME=VALUE,…",
        help="How a new collection is laid out: shard_number=6,replication_factor=2,…",
    )(command)


def json_option(command: F) -> F:
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")(command)


def where_option(command: F) -> F:
    return click.option(
        "--where", metavar="EXPR", help='A filter: price < 100 and category = "dress".'
    )(command)


def ranking_options(command: F) -> F:
    """What searches of every kind have."""
    options = [
        index_option,
        click.option("--preset", metavar="NAME", help="Weights: style, color, material, balanced."),
        click.option(
            "--weights", type=Pairs(), metavar="ASPECT=W,…", help="semantic=0.8,color=0.2"
        ),
        click.option(
            "--calibration",
            type=click.Choice(["spread", "none"]),
            default="spread",
            show_default=True,
            help="Weights mean influence, or are plain factors.",
        ),
        where_option,
        click.option("-k", "limit", default=10, metavar="N", show_default=True, help="How many."),
        click.option(
            "--offset", default=0, metavar="N", show_default=True, help="Skip the best N."
        ),
        click.option(
            "--diverse",
            default=0.0,
            metavar="0…1",
            show_default=True,
            help="How unlike.",
        ),
        click.option("--collapse", is_flag=True, help="Show near-identical images once."),
        click.option("--relevant", is_flag=True, help="Drop what is no closer than chance."),
        click.option("--exact", is_flag=True, help="Search on until the answer is proved."),
        click.option("--explain", is_flag=True, help="Say why each hit is there."),
        json_option,
        click.option("--html", metavar="FILE", help="Write a contact sheet."),
        click.option("--model-dir", metavar="DIR", help="Where the index's model is now."),
    ]
    for option in reversed(options):
        command = option(command)
    return command


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
@click.option("--partition", metavar="N/M", help="Only the Nth of M parts of the images.")
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
@server_option
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
    partition: str | None,
    rejects: str | None,
    limits: dict[str, str] | None,
    threads: int | None,
    server: dict[str, str] | None,
    as_json: bool,
) -> None:
    """Adds images, or brings them up to date. PATH is a folder, a file or a glob."""
    from lookalike import documents, listing, render

    console = _console(stderr=True)
    types = dict(_pair(field, "--field") for field in fields)
    part = None if partition is None else listing.parse_partition(partition)
    options: dict[str, Any] = {"model": model, "model_dir": model_dir, "threads": threads}
    with (
        _writable(rejects) as rejects_file,
        _open(url, create=True, limits=_limits(limits), server=server, **options) as index,
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
                partition=part,
                progress=progress,
            )
        for reject in report.rejects if rejects_file else ():
            rejects_file.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")
    if as_json:
        _print_json(documents.of_report(report))
    else:
        for line in render.summary(report):
            click.echo(line)
    if report.interrupted:
        _note("Stopped. Run the same command again to go on where it stopped.")
        sys.exit(INTERRUPTED)
    if report.rejected and report.rejected == report.done:
        _fail("None of the images could be read; the reasons are above.", 1)


@cli.command()
@click.option("--image", "images", multiple=True, metavar="FILE", help="Like this; - is stdin.")
@click.option("--id", "ids", multiple=True, metavar="ID", help="Like this image of the index.")
@click.option("--text", "texts", multiple=True, metavar="T", help="What these words say.")
@click.option("--minus", multiple=True, metavar="T", help="And not what these words say.")
@click.option(
    "--color", "colors", multiple=True, metavar="NAME|#HEX[=SHARE]", help="In this colour."
)
@click.option("--crop", type=Numbers(), metavar="X,Y,W,H", help="The part that counts: 0 to 1.")
@ranking_options
def search(
    images: tuple[str, ...],
    ids: tuple[str, ...],
    texts: tuple[str, ...],
    minus: tuple[str, ...],
    colors: tuple[str, ...],
    crop: list[float] | None,
    **options: Any,
) -> None:
    """Finds the images nearest to pictures, images of the index, words, or colours.

    The options up to --color can be repeated and mixed.
    """
    pictures = [sys.stdin.buffer.read() if image == "-" else image for image in images]
    named = ["standard input" if image == "-" else image for image in images]
    parts = [
        *(f"like {name}" for name in [*named, *ids]),
        *(f"“{text}”" for text in texts),
        *(f"not “{text}”" for text in minus),
        *([f"in {' and '.join(colors)}"] if colors else []),
    ]
    asked = {
        "image": pictures, "id": ids, "text": texts, "minus": minus, "color": colors, "crop": crop,
    }  # fmt: skip
    _find("search", asked, ", ".join(parts), pictures, ids, colors, **options)


@cli.command()
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


@cli.command()
@click.argument("file")
@index_option
@json_option
@click.option("--model-dir", metavar="DIR", help="Where the index's model is now.")
def batch(file: str, url: str | None, as_json: bool, model_dir: str | None) -> None:
    """Runs the searches in FILE, one JSON object a line; - reads standard input.

    An object holds the keywords of the Python library: {"id": "sku-17", "limit": 5}.
    """
    from lookalike import documents

    started, answers, failed, count = time.perf_counter(), [], 0, 0
    with _readable(file) as lines, _open(url, model_dir=model_dir) as index:
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
                    _print_json(document)
    seconds = time.perf_counter() - started
    if as_json:
        speed = round(count / seconds, 1)
        _print_json({"answers": answers, "seconds": round(seconds, 3), "queries_per_second": speed})
    _note(f"{count:,} queries in {seconds:.1f} s, {count / seconds:,.0f} a second")
    if failed:
        _fail(f"{failed:,} of {count:,} queries failed; their answers say why.", 1)


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
@click.option("--bins", type=int, metavar="N", help="Count ranges instead of values: about N.")
@json_option
def facets(
    field: str, url: str | None, where: str | None, limit: int, bins: int | None, as_json: bool
) -> None:
    """Counts the values of a field, most frequent first; of numbers and dates their ranges."""
    from lookalike import documents, render
    from lookalike.types import FieldType

    with _open(url) as index:
        known = index.fields.get(field)
        if bins is not None or (known and known.type in (FieldType.FLOAT, FieldType.DATETIME)):
            ranges = index.histogram(field, where=where, bins=10 if bins is None else bins)
            if as_json:
                _print_json(documents.of_histogram(ranges))
            else:
                for line in render.histogram_lines(ranges):
                    click.echo(line)
            return
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
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@server_option
@json_option
def copy(source: str, target: str, server: dict[str, str] | None, as_json: bool) -> None:
    """Copies the index FROM to TO, each a folder or a server's address, and compares them.

    Stopped or cut off, the same command goes on where it stopped.
    """
    from lookalike import transfer

    with _place(source) as here, _place(target, server) as there:
        _move("copying", lambda told: transfer.copy(here, there, progress=told), target, as_json)


@cli.command()
@click.argument("file")
@index_option
@json_option
def backup(file: str, url: str | None, as_json: bool) -> None:
    """Writes the whole index into FILE."""
    from lookalike import transfer

    with _place(url) as here:
        _move("writing", lambda told: transfer.backup(here, file, progress=told), file, as_json)


@cli.command()
@click.argument("file")
@index_option
@server_option
@json_option
def restore(file: str, url: str | None, server: dict[str, str] | None, as_json: bool) -> None:
    """Makes a new index out of a backup.

    Stopped or cut off, the same command goes on where it stopped.
    """
    from lookalike import transfer

    with _place(url, server) as there:
        _move(
            "restoring",
            lambda told: transfer.restore(file, there, progress=told),
            there.name,
            as_json,
        )


@cli.command("plan")
@click.option("--images", required=True, metavar="N", help="How many: 100M, 2.5k.")
@click.option(
    "--model", default="clip", show_default=True, metavar="NAME|SIZE", help="Or its dimensions."
)
@click.option("--replicas", default=1, show_default=True, metavar="N", help="Of each shard.")
@click.option("--latency", metavar="TIME", help="What a search may take: 20ms.")
@click.option("--node-ram", default="64G", show_default=True, metavar="BYTES", help="A machine's.")
@click.option("--node-cores", default=16, show_default=True, metavar="N", help="Its cores.")
@click.option("--images-per-second", type=float, metavar="N", help="What embeds, all together.")
@click.option("--writers", default=1, show_default=True, metavar="N", help="Uploading machines.")
@click.option(
    "--payload-bytes", default=122, show_default=True, metavar="N", help="Your fields as JSON."
)
@json_option
def plan_command(
    images: str,
    model: str,
    replicas: int,
    latency: str | None,
    node_ram: str,
    node_cores: int,
    images_per_second: float | None,
    writers: int,
    payload_bytes: int,
    as_json: bool,
) -> None:
    """Says what so many images take: RAM, disk, machines, hours."""
    from lookalike import capacity, render

    found = capacity.plan(
        capacity.Ask(
            images=capacity.parse_count(images),
            semantic=capacity.vector_size(model),
            replicas=replicas,
            node_ram=capacity.parse_bytes(node_ram),
            node_cores=node_cores,
            latency_ms=capacity.parse_milliseconds(latency) if latency else None,
            images_per_second=images_per_second,
            payload_bytes=payload_bytes,
            nodes_writing=writers,
        )
    )
    if as_json:
        _print_json(asdict(found))
        return
    for line in render.capacity_lines(found):
        click.echo(line)


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


def _open(
    url: str | None,
    *,
    create: bool = False,
    server: dict[str, str] | None = None,
    **options: Any,
) -> Index:
    from lookalike.engines import ServerOptions
    from lookalike.index import Index
    from lookalike.settings import Settings

    settings = Settings.from_environment()
    return Index.open(
        url or settings.index,
        create=create,
        cache_dir=settings.cache_dir,
        hub=settings.hub,
        server=ServerOptions.of(server or {}, api_key=settings.api_key),
        **options,
    )


@contextmanager
def _place(url: str | None, server: dict[str, str] | None = None) -> Iterator[Place]:
    """The engine at an address, without the models that an index needs."""
    from lookalike.engines import ServerOptions, open_engine
    from lookalike.settings import Settings
    from lookalike.transfer import Place

    settings = Settings.from_environment()
    name = url or settings.index
    options = ServerOptions.of(server or {}, api_key=settings.api_key)
    with closing(open_engine(name, options)) as engine:
        yield Place(name, engine)


def _move(
    what: str, move: Callable[[Progress | None], Transfer], target: str, as_json: bool
) -> None:
    """Moves an index, and says what came of it."""
    from lookalike import render

    try:
        with render.count_bar(_console(stderr=True), what) as progress:
            done = move(progress)
    except KeyboardInterrupt:
        _note("Stopped. Run the same command again.")
        sys.exit(INTERRUPTED)
    if as_json:
        speed = round(done.images / done.seconds, 1)
        _print_json(asdict(done) | {"images_per_second": speed})
        return
    before = f", {done.images - done.sent:,} of them before" if done.sent < done.images else ""
    click.echo(f"{done.images:,} images are in {target}{before}; it took {done.seconds:.1f} s")
    click.echo(f"checksum of ids and payloads: {done.checksum}")


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
    from lookalike import documents, render
    from lookalike.sheet import cost

    if preset and weights:
        raise InputError("--preset and --weights both say what counts: give one of them.")
    chosen = preset or (_numbers(weights) if weights else None)
    title += f", where {options['where']}" if options["where"] else ""
    with _writable(html) as sheet, _open(url, model_dir=model_dir) as index:
        hits = getattr(index, method)(weights=chosen, **asked, **options)
        if html:
            sheet.write(_sheet(index, title, hits, pictures, ids, colors))
    if as_json:
        _print_json(documents.of_hits(hits))
        return
    _console().print(render.hits_table(title, hits))
    if explain:
        _console().print(render.why_table(hits), "", render.explanation_table(hits), cost(hits), "")
    click.echo(render.hits_footer(hits))
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
    from lookalike.colors import swatches
    from lookalike.sheet import Panel, contact_sheet

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


def _readable(file: str) -> Any:
    if file == "-":
        return nullcontext(sys.stdin)
    try:
        return Path(file).open(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be read ({error.strerror}): name another file.") from None


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
