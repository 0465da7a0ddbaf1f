"""The errors that lookalike raises on purpose.

    LookalikeError
    ├── InputError               the caller can fix it: a path, a name, a value (exit code 2)
    │   ├── SourceError          a folder, file or glob that cannot be listed
    │   │   └── StoreRefusal     an object store refuses a request to these credentials
    │   ├── MetadataError        a metadata file that cannot be used as it is
    │   ├── FilterError          a `where` expression that does not parse or fit the fields
    │   ├── QueryError           a search for something the index does not have
    │   ├── ImageRejected        an image that cannot be read; carries a reason code
    │   └── NotFound             an id or an index that does not exist
    ├── Conflict                 a change that another process was faster with
    ├── ModelError               a model that cannot be loaded, or is not the index's own
    └── EngineError              a refusal or failure of the vector engine
        ├── IndexLocked          another process has the index open
        ├── IndexDamaged         a manifest or shard that cannot be read
        ├── SchemaTooNew         an index written by a newer lookalike
        └── DiskFull             too little free space to write safely

A message is one sentence that names the thing and says what to do.
"""

from __future__ import annotations

from enum import StrEnum

__all__ = [
    "Conflict",
    "DiskFull",
    "EngineError",
    "FilterError",
    "ImageRejected",
    "IndexDamaged",
    "IndexLocked",
    "InputError",
    "LookalikeError",
    "MetadataError",
    "ModelError",
    "NotFound",
    "QueryError",
    "Reason",
    "SchemaTooNew",
    "SourceError",
    "StoreRefusal",
]


_LONGEST = 1_500
_KEPT = 1_000
"""Length of the longest message, and what is kept of a longer one besides its end: what a caller
gave, and a message repeats, may be of any length."""


class LookalikeError(Exception):
    """Base class: catch it to catch them all."""

    def __str__(self) -> str:
        text = super().__str__()
        if len(text) <= _LONGEST:
            return text
        return f"{text[:_KEPT]} … {text[_KEPT - _LONGEST :]}"


class InputError(LookalikeError):
    """A mistake the caller can fix: a path, a name, a value."""


class SourceError(InputError):
    """A folder, file or glob that cannot be listed."""


class StoreRefusal(SourceError):
    """A request that an object store refuses to these credentials, so that nothing happened."""


class MetadataError(InputError):
    """A metadata file that cannot be used as it is."""


class FilterError(InputError):
    """A `where` expression that does not parse, or does not fit the index's fields."""


class QueryError(InputError):
    """A search for something the index does not have."""


class NotFound(InputError):
    """An id or an index that does not exist."""


class Reason(StrEnum):
    """Reason codes of rejected images."""

    UNSUPPORTED_FORMAT = "unsupported_format"
    CAMERA_RAW = "camera_raw"
    TOO_LARGE = "too_large"
    CORRUPT = "corrupt"
    TRUNCATED = "truncated"
    EMPTY = "empty"
    EXTREME_ASPECT = "extreme_aspect"
    UNREADABLE = "unreadable"
    TIMEOUT = "timeout"


class ImageRejected(InputError):
    """An image that cannot be read.

    Attributes:
        reason: the reason code.
        detail: the exact problem, in a few words.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Conflict(LookalikeError):
    """A change of what another process has changed otherwise since it was read."""


class ModelError(LookalikeError):
    """A model that cannot be loaded, or is not the index's own."""


class EngineError(LookalikeError):
    """A refusal or failure of the vector engine."""


class AccessDenied(EngineError):
    """The key of a server is missing or wrong, or does not permit what was asked."""


class IndexLocked(EngineError):
    """Another process has the index open.

    Attributes:
        own_process: whether this very process has it open, so that waiting does not help.
    """

    own_process = False


class IndexDamaged(EngineError):
    """A manifest or shard that cannot be read."""


class SchemaTooNew(EngineError):
    """An index written by a newer lookalike."""


class DiskFull(EngineError):
    """Too little free space to write safely. The index itself is intact."""
