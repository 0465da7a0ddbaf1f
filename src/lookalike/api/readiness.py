"""Readiness of the service: one check shared by all concurrent callers."""

from __future__ import annotations

import asyncio

from starlette.concurrency import run_in_threadpool

from lookalike.errors import LookalikeError
from lookalike.index import Index


class Readiness:
    """Checks the index. Callers who come during a check share it: anyone may ask, without a key,
    and each check takes a thread and a call of the engine."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._check: asyncio.Task[str | None] | None = None

    async def problem(self) -> str | None:
        """Returns why the index cannot be searched, or what it has lost; None if all is well."""
        if self._check is None or self._check.done():
            self._check = asyncio.ensure_future(run_in_threadpool(self._problem))
        return await asyncio.shield(self._check)

    def _problem(self) -> str | None:
        try:
            problems = self._index.verify(full=False).problems
        except LookalikeError as error:
            return str(error)
        return f"{problems[0].what}: {problems[0].remedy}." if problems else None
