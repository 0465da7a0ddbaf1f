"""The command `demo`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from lookalike.cli.console import console, note
from lookalike.cli.opening import open_index
from lookalike.cli.options import index_option
from lookalike.cli.serve import serve


@click.command()
@click.argument("folder", required=False)
@index_option
@click.option("--html", metavar="FILE", help="Where the contact sheet goes.")
@click.option("--model", metavar="NAME", help="As of `index`.")
@click.option("--model-dir", metavar="DIR", help="As of `index`.")
@click.pass_context
def demo(
    context: click.Context,
    folder: str | None,
    url: str | None,
    html: str | None,
    model: str | None,
    model_dir: str | None,
) -> None:
    """Indexes FOLDER, or a catalog that it draws, shows searches on it, and offers the page."""
    from lookalike import demo as show_demo
    from lookalike.cli import terminal
    from lookalike.output.contact_sheet import contact_sheet

    workspace = show_demo.workspace()
    with terminal.count_bar(console(stderr=True), "drawing a catalog") as drawn:
        images, metadata = show_demo.catalog(folder, workspace, drawn)
    place = url or str(show_demo.index_path(images, workspace))
    with open_index(place, create=True, model=model, model_dir=model_dir) as index:
        if index.notice:
            note(index.notice)
        with terminal.progress_bar(console(stderr=True)) as progress:
            report = index.add(images, metadata=metadata, progress=progress)
        for line in terminal.summary(report):
            click.echo(line)
        panels = show_demo.searches(index)
        sheet = Path(html) if html else workspace / "contact-sheet.html"
        sheet.write_text(contact_sheet(panels, index.thumbnail), encoding="utf-8")
    for panel in panels:
        click.echo()
        console().print(terminal.hits_table(panel.title, panel.hits))
        click.echo(terminal.hits_footer(panel.hits))
    click.echo(f"\ncontact sheet: {sheet}\nsearch on:     lookalike search --index {place} …")
    click.echo(f"open the page: lookalike serve --index {place}")
    if console().is_terminal and sys.stdin.isatty() and click.confirm("Open the page now?", True):
        context.invoke(serve, url=place, port=0)
