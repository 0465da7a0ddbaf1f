"""The `serve` command."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from lookalike.cli.console import note
from lookalike.cli.opening import existing_folder, open_index
from lookalike.cli.options import (
    index_option,
    max_fields_option,
    model_dir_option,
    server_option,
)
from lookalike.errors import InputError

if TYPE_CHECKING:
    from lookalike.api.options import Options

_MEGABYTE = 10**6
_PACKAGES = (
    "fastapi",
    "httpcore",
    "multipart",
    "prometheus_client",
    "psutil",
    "python_multipart",
    "starlette",
    "uvicorn",
)


@click.command()
@index_option
@click.option(
    "--host",
    default="127.0.0.1",
    metavar="ADDRESS",
    show_default=True,
    help="Address to bind; anything but loopback requires a key.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    metavar="N",
    show_default=True,
    help="Port to bind; 0 picks a free one.",
)
@click.option("--read-key", metavar="KEY", help="Key for searching. Prefer LOOKALIKE_READ_KEY.")
@click.option("--write-key", metavar="KEY", help="Key for everything. Prefer LOOKALIKE_WRITE_KEY.")
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="DIR",
    help="Folder, s3:// address or address of a feed that clients may index over HTTP, including "
    "subfolders; repeatable.",
)
@click.option(
    "--uploads",
    metavar="DIR",
    help="Folder for images added over HTTP. Default: in the index's folder.",
)
@click.option(
    "--allow-url-fetch",
    is_flag=True,
    help="Let clients search by the URL of an image on the web, and index those that a file below "
    "a root names.",
)
@click.option(
    "--private",
    multiple=True,
    metavar="IP:PORT",
    help="Host of a private network that jobs may fetch feeds and images from; repeatable.",
)
@click.option(
    "--cors",
    multiple=True,
    metavar="ORIGIN",
    help="Origin of another page that may call the API; repeatable.",
)
@click.option(
    "--max-upload",
    type=click.IntRange(1, 10_000),
    default=100,
    metavar="MB",
    show_default=True,
    help="Largest request, in megabytes.",
)
@click.option(
    "--log-level",
    type=click.Choice(["error", "warning", "info"]),
    default="warning",
    show_default=True,
    help="Least level of what is logged to standard error; info includes every request.",
)
@click.option(
    "--log-queries",
    is_flag=True,
    help="Keep the last 1,000 ids and texts that are searched for, to compare models by them.",
)
@click.option("--create", is_flag=True, help="Make an empty index where there is none.")
@max_fields_option
@model_dir_option
@server_option
def serve(
    url: str | None,
    host: str,
    port: int,
    read_key: str | None,
    write_key: str | None,
    roots: tuple[str, ...],
    uploads: str | None,
    allow_url_fetch: bool,
    private: tuple[str, ...],
    cors: tuple[str, ...],
    max_upload: int,
    log_level: Literal["error", "warning", "info"],
    log_queries: bool,
    create: bool,
    max_fields: int | None,
    model_dir: str | None,
    server: dict[str, str] | None,
) -> None:
    """Serves an index over HTTP: an API under /v1, and a web page to search it.

    Without --host, only this machine can reach the service.
    """
    try:
        from lookalike.api import logs
        from lookalike.api.server import check_host, run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in _PACKAGES:
            raise
        raise InputError(
            'Serving requires extra packages; run `pip install "lookalike[serve]"`.'
        ) from error
    from lookalike.cli.settings import Settings

    settings = Settings.from_environment()
    options = _options(
        url or settings.index,
        uploads,
        read_key=read_key or settings.read_key,
        write_key=write_key or settings.write_key,
        roots=tuple(existing_folder(root) for root in roots if "://" not in root),
        addresses=tuple(root.rstrip("/") for root in roots if "://" in root),
        allow_url_fetch=allow_url_fetch,
        private=private,
        cors=cors,
        max_upload_bytes=max_upload * _MEGABYTE,
        log_queries=log_queries,
    )
    check_host(host, options)
    logs.configure(log_level)
    index = open_index(
        url,
        create=create,
        max_fields=max_fields,
        model_dir=model_dir,
        server=server,
        subprocess=True,
    )
    with closing(index):
        if index.notice:
            note(index.notice)
        run(index, options, host=host, port=port, ready=lambda url: click.echo(f"lookalike: {url}"))


def _options(url: str, uploads: str | None, **options: object) -> Options:
    from lookalike.api.options import Options
    from lookalike.cache.store import state_folder
    from lookalike.engines import is_server

    state = state_folder(url)
    default = None if is_server(url) else state / "uploads"
    return Options(state=state, uploads=Path(uploads) if uploads else default, **options)  # type: ignore[arg-type]
