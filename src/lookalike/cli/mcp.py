"""The `mcp` command."""

from __future__ import annotations

from contextlib import closing

import click

from lookalike.cli.console import note
from lookalike.cli.opening import existing_folder, open_index
from lookalike.cli.options import index_option, model_dir_option, server_option
from lookalike.errors import InputError

_PACKAGES = ("mcp", "mcp_types", "pydantic", "starlette")


@click.command()
@index_option
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    help="Folder whose pictures agents may search by, including subfolders; repeatable.",
)
@click.option(
    "--allow-writes",
    is_flag=True,
    help="Also offer tools that change the index; image files are never touched.",
)
@model_dir_option
@server_option
def mcp(
    url: str | None,
    roots: tuple[str, ...],
    allow_writes: bool,
    model_dir: str | None,
    server: dict[str, str] | None,
) -> None:
    """Offers an index to agents and assistants, as an MCP server on standard input and output.

    Agents search and read; without --root they name pictures by their ids alone.
    """
    try:
        from lookalike.api.mcp_server import mcp_server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise InputError(
            'An MCP server requires extra packages; run `pip install "lookalike[mcp]"`.'
        ) from error
    from lookalike.api.allowed_folders import AllowedFolders

    folders = AllowedFolders(tuple(map(existing_folder, roots)))
    with closing(open_index(url, model_dir=model_dir, server=server, subprocess=True)) as index:
        if index.notice:
            note(index.notice)
        mcp_server(index, folders, allow_writes=allow_writes).run()
