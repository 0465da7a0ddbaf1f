"""The service's log: one JSON object per line on standard error."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

LogLevel: TypeAlias = Literal["error", "warning", "info"]

REQUESTS = "lookalike.requests"
"""Name of the logger of requests."""
FIELDS = "fields"
"""Attribute of a log record with further fields of the line."""


def configure(level: LogLevel) -> None:
    """Makes this process log to standard error.

    Args:
        level: the least level; requests are logged at `info`, those that failed at `warning`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    logging.getLogger("lookalike").setLevel(level.upper())
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.getLevelName(level.upper())))


class JsonFormatter(logging.Formatter):
    """Formats a log record as a JSON object: time, level, message, the record's own fields, and
    the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        document: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **getattr(record, FIELDS, {}),
        }
        if record.exc_info:
            document["traceback"] = self.formatException(record.exc_info)
        return json.dumps(document, ensure_ascii=False)
