"""Refusals of requests, worded as a real server words them."""

from __future__ import annotations

from collections.abc import Mapping


class Rejected(Exception):
    def __init__(self, status: int, error: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(error)
        self.status, self.error, self.headers = status, error, headers or {}


def strict(error: str, help: str) -> Rejected:
    """A refusal by strict mode, as a real server words it."""
    return Rejected(400, f"Bad request: {error}. Help: {help}")


def rejection(error: str) -> Rejected:
    """The real server's status and message for an error of the in-memory mode."""
    words = error.split()
    if error.startswith("Collection") and error.endswith("not found"):
        return Rejected(404, f"Not found: Collection `{words[1]}` doesn't exist!")
    if "already exists" in error:
        return Rejected(409, f"Wrong input: {error}!")
    if error.endswith("is not found in the collection"):
        return Rejected(404, f"Not found: No point with id {words[1]} found")
    if error.startswith("Vector with name"):
        return Rejected(404, f'Not found: Vector with name "{words[3]}" for point not found')
    return Rejected(400, error)
