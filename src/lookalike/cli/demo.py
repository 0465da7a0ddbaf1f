"""The command `demo`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lookalike.cli.console import console, note, print_table, stopped
from lookalike.cli.opening import open_index
from lookalike.cli.options import index_option
from lookalike.cli.serve import serve


@click.command()
@click.argument("folder", required=False)
@index_option
@click.option("--html", metavar="FILE", help="Path of the contact sheet.")
@click.option("--model", metavar="NAME", help="Semantic model, as for `index`.")
@click.option("--model-dir", metavar="DIR", help="Folder of the model's files, as for `index`.")
@click.pass_context
def demo(
    context: click.Context,
    folder: str | None,
    url: str | None,
    html: str | None,
    model: str | None,
    model_dir: str | None,
) -> None:
    """Indexes FOLDER or a drawn catalog, and runs example searches.

    Writes a contact sheet of the results, and offers to open the web page.
    """
    from lookalike import demo
    from lookalike.cli.terminal import bars, reports, results
    from lookalike.engines import require_lasting
    from lookalike.output.contact_sheet import contact_sheet

    require_lasting(url or "")
    workspace = demo.workspace()
    with bars.count_bar(console(stderr=True), "drawing a catalog") as drawing:
        images, metadata = demo.choose_images(folder, workspace, drawing)
    place = url or str(demo.index_path(images, workspace))
    with open_index(place, create=True, model=model, model_dir=model_dir) as index:
        if index.notice:
            note(index.notice)
        with bars.ingest_bar(console(stderr=True)) as progress:
            report = index.add(images, metadata=metadata, progress=progress)
        if report.interrupted:
            stopped()
        for line in reports.ingest_lines(report):
            click.echo(line)
        panels = demo.searches(index)
        sheet = Path(html) if html else workspace / "contact-sheet.html"
        sheet.write_text(contact_sheet(panels, index.thumbnail), encoding="utf-8")
    for panel in panels:
        click.echo()
        print_table(results.hits_table(panel.hits, clipped=console().is_terminal), panel.title)
        click.echo(results.hits_footer(panel.hits))
    click.echo(f"\ncontact sheet: {sheet}\nsearch:        lookalike search --index {place} …")
    click.echo(f"web page:      lookalike serve --index {place}")
    if console().is_terminal and sys.stdin.isatty() and click.confirm("Open the page now?", True):
        context.invoke(serve, url=place, port=0)
