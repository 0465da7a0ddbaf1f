"""The JSON of every answer."""

from __future__ import annotations

import json
from typing import Any

from fastapi.responses import JSONResponse


class Document(JSONResponse):
    """JSON whatever texts it holds: half a surrogate pair is written as its escape."""

    def render(self, content: Any) -> bytes:
        text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "backslashreplace")
