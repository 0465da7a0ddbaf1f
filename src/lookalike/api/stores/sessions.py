"""The sessions of browsers, as far as services have to agree on them.

A session is a signed token, which all services with the same secret and the same keys accept. So
only the secret is stored, and the sessions that ended before their time.
"""

from __future__ import annotations

import secrets
import time

from lookalike.system.state import StateRecord, StateStore

MAX_ENDED = 1_000
"""Ended sessions of one role that are remembered; the oldest are forgotten first."""
_ROLES = ("reader", "writer")


class SessionStore:
    """The secret that sessions are signed with, and the ended sessions; see `auth.Sessions`.

    Attributes:
        secret: 32 bytes; this service's own while the stored one cannot be read.
    """

    def __init__(self, state: StateStore) -> None:
        self.secret = secrets.token_bytes(32)
        self._state = state
        self._ended: frozenset[str] = frozenset()

    def read(self) -> None:
        """Reads what is stored, which other services may have changed."""
        self.secret = self._stored_secret()
        self._ended = frozenset(
            record.key for role in _ROLES for record in self._state.scan(f"ended:{role}")
        )

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

    def _stored_secret(self) -> bytes:
        """The secret that the first service has made."""
        if not (stored := self._state.read("secret", ["sessions"])):
            first = StateRecord("sessions", {"secret": self.secret.hex()})
            self._state.replace("secret", None, first)
            stored = self._state.read("secret", ["sessions"])
        return bytes.fromhex(stored[0].value["secret"])
