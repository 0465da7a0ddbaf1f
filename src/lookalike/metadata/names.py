"""Names of images in metadata: the columns that hold them, the names in a cell, and their keys.

A key is a name in the form in which names are compared. It is bytes, because a file's name need not
be valid Unicode.
"""

from __future__ import annotations

import contextlib
import json
import posixpath
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import unquote, urlsplit

__all__ = [
    "as_bytes",
    "as_text",
    "fold",
    "image_columns",
    "name_key",
    "name_texts",
    "path_of",
    "root_kind",
    "single_name",
    "split_names",
    "stem_of",
    "tail",
    "under",
]

# --- columns --------------------------------------------------------------------------------

_FILE_WORDS = ("file", "path", "uri")
_PICTURE = r"(?:image|img|picture|pic|photo|foto|bild)s?"
_PLACE = r"(?:file|filename|filepath|path|name|link|url|uri|src|source|location|href)s?"
_SURE = re.compile(rf"{_PICTURE}{_PLACE}|(?:file|full|local|relative)(?:name|path|location)s?")
_LINK = re.compile(r"(?:link|url|uri|src|source|location|href)s?$")
_LINKS = ("url", "src", "href")
_LIKELY = re.compile(rf"{_PICTURE}(?:id)?|{'|'.join(_LINKS)}")
"""Names of columns that often hold something else, such as whether there is a photo."""
_FURTHER = re.compile(rf"(?:additional|extra|further|more|other|secondary){_PICTURE}(?:{_PLACE})?")
_NUMBERED = re.compile(r"(?P<word>.*?[a-z])[0-9]{1,2}|(?P<picture>[a-z]+?)[0-9]{1,2}(?P<place>.+)")
_EXTENSION = re.compile(
    r"[^/\s].*\.(?:jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|avif|hei[cf]|dng|nef|cr[23]|arw|orf|rw2"
    r"|raf|pef)",
    re.IGNORECASE | re.DOTALL,
)
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://\S")


def image_columns(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The columns that name a row's images, the most important first; empty if there are none.

    Upper and lower case, spaces and signs make no difference: "Image Link" is "image_link".

    Args:
        columns: columns that may name an image.
        rows: some rows of the file. A column whose name may mean something else counts only if most
            of its values there look like names of images.
    """
    filled = [column for column in columns if any(name_texts(row.get(column)) for row in rows)]
    words = {column: _unnumbered(_word(column)) for column in filled}
    if first := _file_column(filled):
        return first, *_numbered_alike(first, words)
    sure = [column for column, word in words.items() if _SURE.fullmatch(word)]
    sure.sort(key=lambda column: bool(_LINK.search(words[column])))
    likely = [
        column
        for column, word in words.items()
        if _LIKELY.fullmatch(word) and _has_names(column, rows, addresses=word not in _LINKS)
    ]
    if not (sure or likely):
        empty = _file_column(columns)
        return (empty,) if empty else ()
    first, *_ = *sure, *likely
    further = (
        column
        for column, word in words.items()
        if _FURTHER.fullmatch(word) and _has_names(column, rows, addresses=True)
    )
    return first, *_numbered_alike(first, words), *further


def _file_column(columns: Sequence[str]) -> str | None:
    by_word = {_word(column): column for column in reversed(columns)}
    return next((by_word[word] for word in _FILE_WORDS if word in by_word), None)


def _numbered_alike(first: str, words: Mapping[str, str]) -> Iterator[str]:
    """The columns whose names differ from that of the first by a number alone."""
    for column, word in words.items():
        if word == words[first] and _word(column) != _word(first):
            yield column


def _word(column: str) -> str:
    """The letters and digits of a column's name, in lower case."""
    text = unicodedata.normalize("NFKC", column).casefold()
    return "".join(filter(str.isalnum, text))


def _unnumbered(word: str) -> str:
    """The word of a column without the number that tells it from its like: "image2url"."""
    match = _NUMBERED.fullmatch(word)
    if match is None:
        return word
    return match["word"] or match["picture"] + match["place"]


def _has_names(column: str, rows: Iterable[Mapping[str, Any]], *, addresses: bool) -> bool:
    """True if most values are names of images.

    Args:
        column: the column.
        rows: some rows.
        addresses: whether any address counts as one.
    """
    texts = [text for row in rows for text in name_texts(row.get(column))]
    firsts = [split_names(text)[0] for text in texts]
    names = [name for name in firsts if _is_name(name) or (addresses and _ADDRESS.match(name))]
    return 2 * len(names) > len(texts)


def _is_name(text: str) -> bool:
    return bool(_EXTENSION.fullmatch(_path(text)))


# --- cells ----------------------------------------------------------------------------------

_SEPARATORS = (re.compile(r"\s*\n\s*"), *(re.compile(rf"\s*{re.escape(s)}\s*") for s in "|;,"))
_ADDRESS_KEYS = ("src", "url", "link", "href", "contentUrl", "file", "path", "filename")
"""Keys of an image's address in JSON, as shops and schema.org write them."""
_SPACE = re.compile(r"\s+")
_ANY_SEPARATOR = re.compile(r"[|;,\s]")


def single_name(value: Any) -> str | None:
    """The text of an id or a name; data frames write the id 5 as 5.0."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip() if isinstance(value, str | int | float) else ""
    return text or None


def name_texts(value: Any) -> list[str]:
    """The names in a cell, where a list has several; a text is not split. An object has its name in
    `src`, `url` or the like."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        with contextlib.suppress(ValueError, RecursionError):
            value = json.loads(value)
    values = value if isinstance(value, list) else [value]
    names = (
        single_name(_address_in(value) if isinstance(value, dict) else value) for value in values
    )
    return [name for name in names if name is not None]


def _address_in(image: Mapping[str, Any]) -> Any:
    return next((image[key] for key in _ADDRESS_KEYS if image.get(key)), None)


def split_names(text: str) -> list[str]:
    """The names in a text that separates them by line breaks, bars, semicolons, commas or spaces.

    It is split only where each part looks like the name of an image, or each like an address.
    """
    if not _ANY_SEPARATOR.search(text):  # as nearly all addresses
        return [text]
    for separator in (*_SEPARATORS, _SPACE):
        parts = [part for part in separator.split(text.strip()) if part]
        if len(parts) > 1 and (all(map(_ADDRESS.match, parts)) or all(map(_is_file, parts))):
            return parts
    return [text]


def _is_file(text: str) -> bool:
    return _ADDRESS.match(text) is None and _is_name(text)


# --- keys -----------------------------------------------------------------------------------


def name_key(name: str) -> bytes:
    """Normalizes a path or an address, so that equal names compare equal.

    macOS decomposes accented letters, Windows writes backslashes, and `./a/../b` is `b`.
    """
    name = unicodedata.normalize("NFC", name)
    if name.startswith("file://"):
        name = unquote(name.removeprefix("file://"))
    if "://" not in name:
        name = posixpath.normpath(name.replace("\\", "/"))
    return as_bytes(name)


def under(folder: bytes, key: bytes) -> bytes:
    """The key of a name that is relative to a folder; other names keep their key."""
    if b"://" in key or re.match(rb"[A-Za-z]:/", key):
        return key
    return name_key(posixpath.join(as_text(folder), as_text(key)))


def fold(key: bytes | None) -> bytes | None:
    """The key without the difference of upper and lower case; None stays None."""
    return None if key is None else as_bytes(as_text(key).casefold())


def stem_of(key: bytes) -> bytes | None:
    """The key of a name that lacks the extension of an image; None for others."""
    return None if _is_name(as_text(key)) or b"/" in key else key


def tail(key: bytes, parts: int) -> bytes | None:
    """The last parts of a folded path or address; None if it has fewer."""
    names = _path(as_text(key)).casefold().rsplit("/", parts)
    return as_bytes("/".join(names[-parts:])) if len(names) >= parts else None


def path_of(key: bytes) -> bytes:
    """The folded path of a name, without an address's host and query."""
    return as_bytes(_path(as_text(key)).casefold())


def root_kind(key: bytes) -> str | None:
    """The place where a name with a folder starts: a host, a drive, the root "/", or "" for a
    relative path. None for a name without a folder."""
    name = as_text(key)
    if "://" in name:
        return "/".join(name.split("/", 3)[:3])
    if "/" not in name:
        return None
    drive = re.match(r"[A-Za-z]:/", name)
    return drive[0].upper() if drive else "/"[: name.startswith("/")]


def _path(name: str) -> str:
    """The path of an address without its query, decoded; other names are paths themselves."""
    if not _ADDRESS.match(name):
        return name
    try:
        return unquote(urlsplit(name).path)
    except ValueError:
        return name


def as_bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")


def as_text(data: bytes) -> str:
    return data.decode(errors="surrogatepass")
