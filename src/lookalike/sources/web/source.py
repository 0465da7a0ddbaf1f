"""Images at addresses of the web that a list names, such as the rows of a feed.

The list tells nothing about the files, so each is asked for with the ETag and the time that the
index has of it: a server that knows either sends the file only if it has changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import format_datetime as http_date
from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import Protocol
from urllib.parse import quote

from lookalike.errors import ImageRejected, InputError, Reason
from lookalike.sources.web.fetcher import Response
from lookalike.sources.web.hosts import Hosts
from lookalike.system.times import format_datetime, parse_datetime, to_utc
from lookalike.types import ANY_ETAG, UNKNOWN_ETAG, ImageRef

_NOT_IN_URLS = ' "<>\\^`{|}'
"""Characters that feeds leave in addresses, and browsers encode."""
_OWN_ETAG = "sha256:"
"""Start of an etag that was made here, as the server has none."""


class Addresses(Protocol):
    """A list of addresses.

    Attributes:
        name: path or address of the list, which images are stored with.
    """

    @property
    def name(self) -> str: ...

    def addresses(self) -> Iterator[str]:
        """Lists every address once, in a stable order."""
        ...

    def has_address(self, uri: str) -> bool: ...


class WebImages:
    """A source of the images at the addresses of a list. See `protocols.ConditionalSource`.

    Args:
        listed: the addresses.
        hosts: reads them.
        recheck: whether to ask for images that the index has.
    """

    readers = 16  # for several hosts; `Hosts` limits those of one
    passed_over = False
    incomplete = False

    def __init__(self, listed: Addresses | None, hosts: Hosts, *, recheck: bool = True) -> None:
        self.root = "" if listed is None else listed.name
        self._listed = listed
        self._hosts = hosts
        self._etag = UNKNOWN_ETAG if recheck else ANY_ETAG

    def __reduce__(self) -> tuple[type[WebImages], tuple[None, Hosts]]:
        # Other processes read images; only this one has the list.
        return WebImages, (None, self._hosts)

    def refs(self) -> Iterator[ImageRef]:
        for uri in self._listed.addresses() if self._listed else ():
            yield ImageRef(uri, self._etag, 0, listed_in=self.root)

    def read(self, ref: ImageRef) -> bytes:
        _, data = self.read_if_changed(ref, None)
        assert data is not None  # noqa: S101 -- no etag was sent
        return data

    def read_if_changed(
        self, ref: ImageRef, known: ImageRef | None
    ) -> tuple[ImageRef, bytes | None]:
        try:
            response = self._hosts.request(browser_url(ref.uri), _conditions(known))
            if response.status == 304 and known is not None:
                return known, None
            data = response.file()
        except ImageRejected:
            raise
        except InputError as error:
            raise ImageRejected(Reason.UNREADABLE, str(error)) from error
        etag = _etag(response, data)
        return ImageRef(ref.uri, etag, len(data), _modified_at(response), ref.listed_in), data

    def covers(self, uri: str) -> bool:
        return self.has(uri)

    def excludes(self, uri: str) -> bool:
        return False

    def has(self, uri: str) -> bool:
        return self._listed is not None and self._listed.has_address(uri)

    def exists(self, uri: str) -> bool:
        return True

    def lost_folder(self, uri: str) -> str | None:
        return None


_SAFE = "".join(sign for sign in map(chr, range(128)) if sign not in _NOT_IN_URLS)


def browser_url(uri: str) -> str:
    """The address as a browser would ask for it."""
    try:
        return quote(uri, safe=_SAFE)
    except UnicodeEncodeError:  # half a character, which no address has
        return uri


def _conditions(known: ImageRef | None) -> dict[str, str]:
    """The headers by which a server sends a file only if it differs from a known one."""
    if known is None:
        return {}
    headers = {}
    if not known.etag.startswith(_OWN_ETAG):
        headers["If-None-Match"] = known.etag
    if known.modified_at:
        moment = parse_datetime(known.modified_at)
        headers["If-Modified-Since"] = http_date(moment.astimezone(UTC), usegmt=True)
    return headers


def _etag(response: Response, data: bytes) -> str:
    etag = response.headers.get("etag", "").strip()
    # Others are not ETags, and a header could not repeat them.
    usable = etag.isascii() and etag.isprintable() and 0 < len(etag) <= 1_000
    return etag if usable else f"{_OWN_ETAG}{sha256(data).hexdigest()}"


def _modified_at(response: Response) -> str:
    try:
        moment = to_utc(parsedate_to_datetime(response.headers.get("last-modified", "")))
    except (ValueError, TypeError, IndexError):
        return ""
    return format_datetime(moment) if moment <= datetime.now(UTC) else ""
