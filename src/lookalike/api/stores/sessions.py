"""The sessions of browsers, as far as services have to agree on them.

A session is a signed token, which all services with the same secret and the same keys accept. So
only the secret is stored, and the sessions that ended before their time.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time

from lookalike.errors import LookalikeError
from lookalike.system import patience
from lookalike.system.state import StateRecord, StateStore

MAX_ENDED = 1_000
"""Ended sessions of one role that are remembered; the oldest are forgotten first."""
POLL_SECONDS = 2.0
"""Seconds after which the other services know of a session that ended."""
_ROLES = ("reader", "writer")

_log = logging.getLogger("lookalike.api")


class SessionStore:
    """The secret that sessions are signed with, and the ended sessions; see `auth.Sessions`.

    Attributes:
        secret: 32 bytes; this service's own while the stored one cannot be read.
    """

    def __init__(self, state: StateStore) -> None:
        self.secret = secrets.token_bytes(32)
        self._state = state
        self._ended: frozenset[str] = frozenset()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Reads what is stored, and goes on doing so where other services end sessions."""
        self._stopping.clear()
        self._read()
        if self._state.shared:
            threading.Thread(target=self._poll, name="lookalike-sessions", daemon=True).start()

    def stop(self) -> None:
        """Stops reading."""
        self._stopping.set()

    def has_ended(self, id: str) -> bool:
        """Tells if a session ended before its time."""
        return id in self._ended

    def end(self, id: str, role: str, expires: int) -> None:
        """Ends a session.

        Args:
            id: the session.
            role: its role.
            expires: the second of the epoch at which it would have ended by itself.
        """
        self._ended |= {id}
        kind = f"ended:{role}"
        self._state.put(kind, [StateRecord(id, order=expires)])
        records = list(self._state.scan(kind))
        outdated = [
            record.key
            for i, record in enumerate(records)
            if record.order < time.time() or i < len(records) - MAX_ENDED
        ]
        self._state.delete(kind, outdated)

    def _poll(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            self._read()

    def _read(self) -> None:
        try:
            with patience.at_most(POLL_SECONDS):
                self.secret = self._stored_secret()
                self._ended = frozenset(
                    record.key for role in _ROLES for record in self._state.scan(f"ended:{role}")
                )
        except LookalikeError as error:  # what is known stays in force
            _log.warning("Sessions end in this service alone for now: %s", error)

    def _stored_secret(self) -> bytes:
        """The secret that the first service has made."""
        if not (stored := self._state.read("secret", ["sessions"])):
            first = StateRecord("sessions", {"secret": self.secret.hex()})
            self._state.replace("secret", None, first)
            stored = self._state.read("secret", ["sessions"])
        return bytes.fromhex(stored[0].value["secret"])
