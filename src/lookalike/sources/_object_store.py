"""Requests to object stores through obstore: listing, reading, copying and deleting.

Credentials are obstore's, from the environment; none is kept or shown. Two things that obstore
cannot do are boto3's, if it is installed: the profiles of AWS, and keys with `//` or control
characters, which end a listing of obstore.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, timedelta
from functools import cached_property, partial
from typing import IO, TYPE_CHECKING, Any, TypeAlias

from lookalike.errors import ImageRejected, Reason, SourceError, StoreRefusal
from lookalike.sources._object_reader import ObjectReader
from lookalike.sources._store_errors import (
    READING,
    WRITING,
    explain,
    is_away,
    is_cut_off,
    is_refusal,
)
from lookalike.sources._store_settings import ENDPOINT_SETTINGS, ENDPOINTS, profile, region
from lookalike.system import patience
from lookalike.system.iteration import ahead
from lookalike.types import StoredObject

if TYPE_CHECKING:
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

PAGE = 1000
"""Keys of a page, the most that S3 lists at once."""

LARGEST_CARRIED = 256 * 2**20
"""Bytes of an object that is brought into another bucket through memory."""

READ_AHEAD = 8 * 2**20
"""Bytes that a request reads of an object that is read like a file."""

CUT_OFF = 3
"""Times in a row that a page of a listing may break off; obstore asks again only where a request
was not answered."""

UPLOADS = 4
"""Parts of an object that are uploaded at once."""

_CONDITIONAL_COPY = "header:if-none-match:*"
"""The header by which S3 copies an object only if the new key is free."""


@dataclass(frozen=True, slots=True)
class UnreadableKey:
    """A key that obstore cannot name.

    Attributes:
        key: the key.
        hides: whether other keys may be missing from the listing because of it.
    """

    key: str
    hides: bool


class StoreAway(ImageRejected):
    """The rejection of an object whose store does not answer, or refuses the credentials."""


Listed: TypeAlias = StoredObject | UnreadableKey


class Bucket:
    """A bucket of S3, of a store that speaks its protocol, or of Google Cloud Storage; or a
    container of Azure Blob Storage. Thread-safe; another process opens connections of its own.

    Args:
        scheme: `s3`, `gs` or `az`.
        name: name of the bucket.
        endpoint: URL of the store; by default that of the environment, else the cloud's own.
        anonymous: whether to send no credentials.

    Raises:
        SourceError: the endpoint is not a URL.
    """

    def __init__(self, scheme: str, name: str, endpoint: str | None, anonymous: bool) -> None:
        self.scheme = scheme
        self.name = name
        self.endpoint = endpoint or next(filter(None, map(os.getenv, ENDPOINTS[scheme])), None)
        self.anonymous = anonymous
        if self.endpoint and not re.fullmatch(r"https?://[^/?#\s][^?#\s]*", self.endpoint):
            raise SourceError(
                f"{self.endpoint} is not a valid endpoint: write it as https://host:port."
            )

    def __reduce__(self) -> tuple[type[Bucket], tuple[Any, ...]]:
        return Bucket, (self.scheme, self.name, self.endpoint, self.anonymous)

    @property
    def address(self) -> str:
        return f"{self.scheme}://{self.name}/"

    def require_access(self, folder: str) -> None:
        """Lists the first keys of a folder, to fail within seconds.

        Raises:
            SourceError: the bucket cannot be listed.
        """
        from obstore.exceptions import InvalidPathError

        try:
            next(iter(self._open(patient=False).list(folder or None)), None)
        except InvalidPathError:
            pass
        except Exception as error:  # obstore's have no common base with what Python raises
            raise self._error(folder, error) from None

    def pages(
        self, folder: str, after: str | None = None, *, early: bool = True
    ) -> Iterator[Sequence[Listed]]:
        """Lists the objects of a folder and its subfolders, by key, a page at a time.

        Args:
            folder: the folder.
            after: a key, which need not exist: only those that follow are listed.
            early: whether to ask for a page while the one before it is used.

        Raises:
            SourceError: the store does not answer any more.
        """
        from obstore.exceptions import InvalidPathError

        cut_off = 0
        while True:
            try:
                listed = self._store.list(folder or None, offset=after, chunk_size=PAGE)
                for page in ahead(listed) if early else listed:
                    yield [_stored(one) for one in page]
                    after, cut_off = page[-1]["path"], 0
                return
            except InvalidPathError as error:
                bad = _unreadable_key(error)
            except Exception as error:
                cut_off += 1
                if is_cut_off(error) and cut_off < CUT_OFF:
                    patience.pause(cut_off)
                    continue
                raise self._error(folder, error) from None
            client = self._boto3_client()
            if client is None:
                yield [UnreadableKey(bad, hides=True)]
                after = next_readable(bad)
                continue
            after = yield from self._pages_around(client, folder, after)
            if after is None:
                return

    def _pages_around(
        self, client: Any, folder: str, after: str | None
    ) -> Generator[Sequence[Listed], None, str | None]:
        """Lists by boto3 until all keys of a page can be named; returns the last one, or None at
        the end of the folder."""
        start = {"StartAfter": after} if after else {}
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=folder, **start
        )
        try:
            for page in pages:
                found = [_listed(one) for one in page.get("Contents", ())]
                yield found
                if found and not any(isinstance(one, UnreadableKey) for one in found):
                    return found[-1].key
        except Exception as error:
            raise self._error(folder, error) from None
        return None

    def head(self, key: str) -> StoredObject | None:
        """An object's size and tag; None if there is none.

        Raises:
            SourceError: the store does not tell.
        """
        try:
            return _stored(self._store.head(key))
        except (FileNotFoundError, ValueError):
            return None
        except Exception as error:
            raise self._error(key, error) from None

    def read(self, key: str, size: int) -> bytes:
        """Reads an object of a known size, in bytes.

        Raises:
            ImageRejected: with reason `unreadable`; it is gone, or has another size by now.
            StoreAway: likewise; the store does not answer, or refuses the credentials.
        """
        try:
            answer = self._store.get(key)
            is_same = answer.meta["size"] == size  # larger ones must not be read
            data = bytes(answer.bytes()) if is_same else b""
        except FileNotFoundError:
            raise ImageRejected(Reason.UNREADABLE, "it is gone") from None
        except Exception as error:
            raise self._rejection(error) from None
        if len(data) != size:
            detail = "it changed after it was listed: run the same command again"
            raise ImageRejected(Reason.UNREADABLE, detail)
        return data

    def read_now(
        self, key: str, is_wanted: Callable[[StoredObject], bool]
    ) -> tuple[StoredObject, bytes | None]:
        """Reads an object as it is now, if it is wanted by its size and tag.

        Raises:
            FileNotFoundError: it is gone.
            ImageRejected: as from `read`, or what `is_wanted` raises.
        """
        try:
            answer = self._store.get(key)
            found = _stored(answer.meta)
            data = bytes(answer.bytes()) if is_wanted(found) else None
        except (FileNotFoundError, ImageRejected):
            raise
        except Exception as error:
            raise self._rejection(error) from None
        if data is not None and len(data) != found.size:
            raise ImageRejected(Reason.UNREADABLE, "the store sent too few bytes")
        return found, data

    def sha256(self, found: StoredObject) -> str:
        """Reads an object for its hash.

        Raises:
            FileNotFoundError: it is gone or has changed.
            SourceError: the store does not deliver it.
        """
        digest = hashlib.sha256()
        try:
            answer = self._store.get(found.key)
            if _stored(answer.meta).tag != found.tag:
                raise FileNotFoundError(found.key)
            for chunk in answer.stream():
                digest.update(chunk)
        except FileNotFoundError:
            raise
        except Exception as error:
            raise self._error(found.key, error) from None
        return digest.hexdigest()

    def keys_starting(self, start: str) -> list[str]:
        """The keys that begin with a text and lie in the same folder.

        Raises:
            SourceError: they cannot be listed.
        """
        keys: list[str] = []
        for page in self.pages(start[: start.rfind("/") + 1], start):
            for one in page:
                if isinstance(one, UnreadableKey):
                    if one.hides:
                        raise SourceError(
                            f"{self.address}{start}: a key beside it cannot be addressed, and "
                            "hides others: pip install boto3."
                        )
                elif not one.key.startswith(start):  # keys come in their order
                    return keys
                elif "/" not in one.key[len(start) :]:
                    keys.append(one.key)
        return keys

    def open(self, found: StoredObject) -> IO[bytes]:
        """Opens an object in this state for reading at any place."""
        reader = ObjectReader(found.size, partial(self._range, found))
        return io.BufferedReader(reader, READ_AHEAD)

    def _range(self, found: StoredObject, start: int, length: int) -> bytes:
        """Reads a part of an object that is still in this state.

        Raises:
            SourceError: the store does not deliver it, or the object has changed.
        """
        from obstore.exceptions import PreconditionError

        condition = {"if_match": f'"{found.etag}"'} if found.etag else {}
        options: Any = {"range": (start, start + length), **condition}
        try:
            return bytes(self._store.get(found.key, options=options).bytes())
        except (FileNotFoundError, PreconditionError):
            raise SourceError(
                f"{self.address}{found.key} changed while it was read: run the same command again."
            ) from None
        except Exception as error:
            raise self._error(found.key, error) from None

    # --- writing ----------------------------------------------------------------------------

    def copy(self, key: str, to: str) -> None:
        """Copies an object with its metadata within the bucket.

        A store that knows conditional copies refuses to overwrite. Of another one, the caller has
        asked just before if the new key is taken.

        Raises:
            FileExistsError: the new key is taken.
            SourceError: the store refuses.
        """
        with self._writing(to):
            self._store.copy(key, to, overwrite=False)

    def copy_to(self, bucket: str, found: StoredObject, to: str) -> None:
        """As `copy`, into another bucket of the store, through the memory of this machine.

        Raises:
            FileExistsError: the new key is taken.
            SourceError: the store refuses, or the object is too large.
        """
        if found.size > LARGEST_CARRIED:
            raise SourceError(
                f"{self.address}{found.key}: objects above {LARGEST_CARRIED // 2**20} MiB move "
                "only within their bucket."
            )
        other = Bucket(self.scheme, bucket, self.endpoint, self.anonymous)
        with other._writing(to):
            answer = self._store.get(found.key)
            attributes = answer.attributes
            other._store.put(to, answer.bytes(), attributes=attributes, mode="create")

    def delete(self, key: str) -> None:
        """Deletes an object; one that is gone already is no error.

        Raises:
            SourceError: the store refuses.
        """
        with suppress(FileNotFoundError), self._writing(key):
            self._store.delete(key)

    def upload(self, key: str, chunks: Iterable[bytes], part: int) -> None:
        """Writes an object in parts of so many bytes, completely or not at all.

        Raises:
            SourceError: the store refuses.
        """
        failed: list[Exception] = []

        def pieces() -> Iterator[bytes]:
            try:
                yield from filter(None, chunks)
            except Exception as error:
                failed.append(error)
                raise

        try:
            self._store.put(
                key, pieces(), use_multipart=True, chunk_size=part, max_concurrency=UPLOADS
            )
        except Exception as error:
            if failed:  # it is not the store's
                raise
            raise self._error(key, error, WRITING) from None

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        """Explains what goes wrong while an object is written or deleted."""
        from obstore.exceptions import AlreadyExistsError

        try:
            yield
        except FileNotFoundError:
            raise
        except AlreadyExistsError:
            raise FileExistsError(f"{self.address}{key}") from None
        except Exception as error:
            raise self._error(key, error, WRITING) from None

    # --- connections ------------------------------------------------------------------------

    @cached_property
    def _store(self) -> S3Store | GCSStore | AzureStore:
        return self._open(patient=True)

    def _open(self, *, patient: bool) -> S3Store | GCSStore | AzureStore:
        """Connects; `patient`, requests are tried again for a minute."""
        from obstore.store import AzureStore, GCSStore, S3Store

        is_plain = self.endpoint is not None and self.endpoint.startswith("http://")
        client: ClientConfig = {
            "allow_http": is_plain,
            "connect_timeout": timedelta(seconds=5),
            "timeout": timedelta(seconds=120 if patient else 15),
        }
        retries: RetryConfig = {
            "max_retries": 10 if patient else 1,
            "retry_timeout": timedelta(seconds=60 if patient else 10),
            "backoff": {
                "init_backoff": timedelta(seconds=0.1),
                "max_backoff": timedelta(seconds=10),
                "base": 2,
            },
        }
        common: Any = {"client_options": client, "retry_config": retries}
        match self.scheme:
            case "gs":
                return GCSStore(self.name, config=self._settings(), **common)
            case "az":
                return AzureStore(self.name, config=self._settings(), **common)
        return S3Store(self.name, config=self._settings(), **common, **profile())

    def _settings(self) -> Any:
        """The settings of obstore in place of those in the environment."""
        settings: dict[str, Any] = dict.fromkeys(
            ENDPOINT_SETTINGS[self.scheme] if self.endpoint else (), self.endpoint
        )
        if self.anonymous:
            settings["skip_signature"] = True
        if self.scheme == "s3":
            settings |= region()
            settings["copy_if_not_exists"] = os.getenv("AWS_COPY_IF_NOT_EXISTS", _CONDITIONAL_COPY)
        return settings

    def _boto3_client(self) -> Any:
        """A client of boto3; None for other stores than S3, and where it is not installed."""
        try:
            import boto3
            from botocore import UNSIGNED
            from botocore.config import Config
        except ImportError:
            return None
        if self.scheme != "s3":
            return None
        config = Config(signature_version=UNSIGNED) if self.anonymous else None
        name = region().get("region", "us-east-1")
        return boto3.client("s3", endpoint_url=self.endpoint, region_name=name, config=config)

    # --- errors -----------------------------------------------------------------------------

    def _error(self, key: str, error: Exception, need: str = READING) -> SourceError:
        kind = StoreRefusal if is_refusal(error) else SourceError
        return kind(f"{self.address}{key}: {self._explained(error, need)}")

    def _rejection(self, error: Exception) -> ImageRejected:
        kind = StoreAway if is_away(error) else ImageRejected
        return kind(Reason.UNREADABLE, self._explained(error))

    def _explained(self, error: Exception, need: str = READING) -> str:
        return explain(error, self.scheme, self.endpoint, anonymous=self.anonymous, need=need)


def _stored(meta: Mapping[str, Any]) -> StoredObject:
    etag = (meta["e_tag"] or "").removeprefix("W/").strip('"')
    return StoredObject(meta["path"], meta["size"], etag, meta["last_modified"])


def _listed(entry: Mapping[str, Any]) -> Listed:
    """A key that boto3 lists, as obstore would."""
    key = entry["Key"]
    if not is_readable(key):
        return UnreadableKey(key, hides=False)
    modified = entry["LastModified"].astimezone(UTC)
    return StoredObject(key.rstrip("/"), entry["Size"], entry["ETag"].strip('"'), modified)


_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_readable(key: str) -> bool:
    """True if obstore can name a key."""
    segments = key.removesuffix("/").split("/")
    return not any(part in ("", ".", "..") for part in segments) and not _CONTROL.search(key)


def _unreadable_key(error: Exception) -> str:
    """The key that ended a listing."""
    key = re.search(r'Path "(.*?)" contained |Path "(.*?)": Encountered', str(error), re.DOTALL)
    if key is None:
        raise SourceError(f"A key cannot be listed ({error!s:.200}).")
    return key[1] or key[2] or ""


def next_readable(key: str) -> str:
    """A readable key that follows an unreadable one and those that share its unreadable folder."""
    folder = ""
    for part in key.split("/"):
        control = _CONTROL.search(part)
        if control is not None:
            start = folder + part[: control.start()]
            return start + (" " if control[0] < " " else "\x80")
        if part in ("", ".", ".."):
            return f"{folder}{part}0"  # the character after "/"
        folder += f"{part}/"
    return f"{key}0"
