"""Opening of inputs: files, feeds and the images on the web that they name; files of backups."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from lookalike.admin.backup_files import BackupFile, BucketFile, DiskFile
from lookalike.errors import InputError, MetadataError
from lookalike.ingest.run import AddRequest, OpenWeb
from lookalike.metadata.compressed import plain_name
from lookalike.metadata.feed_files import FEED_SUFFIXES
from lookalike.protocols import Source
from lookalike.sources import SourceInput, open_sources
from lookalike.sources.bucket import open_bucket
from lookalike.system.inputs import is_object, is_url
from lookalike.types import DecodeLimits

if TYPE_CHECKING:
    from lookalike.sources.web.files import WebFiles
    from lookalike.sources.web.hosts import Hosts


class Inputs(NamedTuple):
    """The inputs of a run.

    Attributes:
        request: the options, with the feed as metadata.
        sources: the opened sources of files.
        open_web: opens the addresses in the metadata; None if they are not to be fetched.
    """

    request: AddRequest
    sources: Sequence[Source]
    open_web: OpenWeb | None


@contextmanager
def opened(
    sources: Sequence[SourceInput], request: AddRequest, limits: DecodeLimits
) -> Iterator[Inputs]:
    """Opens the sources of a run: files, or a feed, which is downloaded if it is an address.

    Raises:
        SourceError: a source does not exist, or all of them are empty.
        InputError: there is more than a feed, no library to fetch with, or a wrong private host.
        MetadataError: the feed cannot be downloaded.
    """
    feed = _feed_of(sources, request)
    options = replace(request.source_options, largest=limits.bytes)
    if not request.fetch:
        yield Inputs(request, open_sources(sources, options), None)
        return
    if feed is not None and request.listing is not None:
        raise InputError(f"{feed} is a feed, which names all images itself: leave out --listing.")
    if feed is None and request.metadata is None:
        raise InputError("Only a feed or metadata names images to fetch: give a file with rows.")
    with ExitStack() as cleanup:
        if feed is not None:
            folder = cleanup.enter_context(tempfile.TemporaryDirectory(prefix="lookalike-"))
            path, name = _located(feed, Path(folder), request)
            request = replace(request, metadata=path, feed=name, prune=True)
            cleanup.enter_context(_named(path, name))
            sources = []
        files = open_sources(sources, options) if sources else []
        yield Inputs(request, files, cleanup.enter_context(_web(request, limits)))


def backup_file(
    file: str | os.PathLike[str], endpoint: str | None = None, *, anonymous: bool = False
) -> BackupFile:
    """The file of a backup, on disk or in an object store.

    Raises:
        InputError: the address names no object.
        SourceError: the bucket cannot be listed.
    """
    address = os.fspath(file)
    if not is_object(address):
        return DiskFile(Path(address))
    scheme, _, rest = address.partition("://")
    name, _, key = rest.partition("/")
    if not name or not key or key.endswith("/"):
        raise InputError(
            f"{address} names no object: write it as {scheme}://bucket/folder/shop.backup."
        )
    return BucketFile(open_bucket(scheme, name, endpoint, anonymous=anonymous), key)


def _feed_of(sources: Sequence[SourceInput], request: AddRequest) -> str | None:
    """The path or address of the feed among sources, if there is one."""
    names = [os.fspath(one) for one in sources if isinstance(one, str | os.PathLike)]
    feed = next(filter(_is_feed, names), None)
    if feed is None:
        return None
    if len(sources) > 1 or request.metadata is not None:
        raise InputError(f"{feed} is a feed, which names all images itself: give it alone.")
    if not request.fetch:
        raise InputError(
            f"{feed} names images by address: add --fetch to download them (in Python, fetch=True)."
        )
    return feed


def _is_feed(name: str) -> bool:
    suffix = plain_name(Path(name)).suffix.lower()
    return is_url(name) or (suffix in FEED_SUFFIXES and Path(name).is_file())


def _located(feed: str, folder: Path, request: AddRequest) -> tuple[Path, str]:
    """The file of a feed, downloaded to a folder if it is elsewhere, and its name."""
    if not is_url(feed):
        path = Path(feed)
        return path, str(path.absolute())
    with closing(_hosts(request.private, None)) as hosts:
        from lookalike.sources.web.feeds import download, feed_name

        return download(feed, folder, hosts), feed_name(feed)


@contextmanager
def _named(path: Path, name: str) -> Iterator[None]:
    """Names a feed that was downloaded by its address in errors."""
    try:
        yield
    except MetadataError as error:
        raise MetadataError(str(error).replace(str(path), name)) from error


@contextmanager
def _web(request: AddRequest, limits: DecodeLimits) -> Iterator[OpenWeb]:
    """The function that opens the addresses in metadata."""
    with closing(_hosts(request.private, limits)) as hosts:
        from lookalike.sources.web.source import WebImages

        yield lambda table: WebImages(table, hosts, recheck=request.recheck)


def web_files(private: Sequence[str], limits: DecodeLimits) -> WebFiles:
    """Files on the web, and on hosts of a private network.

    Raises:
        InputError: there is no library to fetch with, or a private host is not valid.
    """
    hosts = _hosts(private, limits)
    from lookalike.sources.web.files import WebFiles

    return WebFiles(hosts)


def _hosts(private: Sequence[str], limits: DecodeLimits | None) -> Hosts:
    """Requests to hosts, for images within limits, or for feeds."""
    try:
        from lookalike.sources.web import feeds
        from lookalike.sources.web.fetcher import PORTS, TIMEOUT, Fetcher
        from lookalike.sources.web.hosts import Hosts
    except ModuleNotFoundError:
        raise InputError(
            "Fetching images needs a library: pip install 'lookalike[fetch]'."
        ) from None
    allowed = frozenset(_private(private))
    ports = {*PORTS, *(port for _, port in allowed)}
    timeout = feeds.TIMEOUT if limits is None else TIMEOUT
    return Hosts(Fetcher(limits or feeds.LIMITS, timeout, ports, allowed))


def _private(hosts: Iterable[str]) -> Iterator[tuple[str, int]]:
    """The addresses and ports of hosts in a private network."""
    for host in hosts:
        try:
            parts = urlsplit(f"http://{host}")
            address = str(ip_address(parts.hostname or ""))
            if parts.port is None or "@" in host or parts.netloc != host:
                raise ValueError(host)
        except ValueError:
            raise InputError(
                f"{host} is not an IP address with a port: write it as 10.0.0.5:8080."
            ) from None
        yield address, parts.port
