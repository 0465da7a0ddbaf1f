"""The log of real queries: ids and texts that a service was searched by, if its operator wants so.

Only the queries themselves are written: no pictures, no filters, no results, no times, and nothing
about clients. The log serves to compare two models by what is really searched for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LoggedQuery:
    """A query from the log.

    Attributes:
        value: the id of an image, or a text.
        is_text: whether it is a text.
    """

    value: str
    is_text: bool = True
