"""A lease: the right to do something, which one service at a time has.

Its holder renews it by writing it again. Another service takes it when it has watched it for a
while without seeing it change, so the clocks of the machines need not agree. The holder counts on
it for a shorter time.
"""

from __future__ import annotations

import secrets
import threading
import time

from lookalike.system.state import StateRecord, StateStore

LEASE = 10.0
"""Seconds without a renewal after which another service takes it."""
HOLD = 6.0
"""Seconds after a renewal for which the holder counts on it."""
RENEWAL = 2.0
"""Seconds between two renewals."""
_KIND = "lease"


class Lease:
    """A lease by name. In a state that no other process uses, this service always gets it.

    Attributes:
        id: this service, until it ends.
    """

    def __init__(self, state: StateStore, name: str) -> None:
        self.id = secrets.token_hex(8)
        self._state = state
        self._name = name
        self._lock = threading.RLock()
        self._own: StateRecord | None = None
        self._renewed = 0.0
        self._seen = ""  # version of the lease of another one
        self._since = 0.0

    @property
    def held(self) -> bool:
        """Tells if this service has the lease for sure."""
        if self._own is None:
            return False
        return not self._state.shared or time.monotonic() < self._renewed + HOLD

    def take(self) -> bool:
        """Takes the lease if nobody else has it; to be called again and again until it does."""
        with self._lock:
            stored = self._stored()
            holder = "" if stored is None else stored.value["holder"]
            if stored is not None and self._state.shared and holder not in ("", self.id):
                now = time.monotonic()
                if stored.version != self._seen:
                    self._seen, self._since = stored.version, now
                if now < self._since + LEASE:
                    return False
            return self._write(stored, self.id)

    def renew(self) -> bool:
        """Renews the lease if it is held and that is due; returns False if it was lost."""
        with self._lock:
            if self._own is None:
                return False
            if not self._state.shared or time.monotonic() < self._renewed + RENEWAL:
                return True
            if not self._write(self._own, self.id):
                # Lost, unless an earlier renewal was written without our knowledge.
                stored = self._stored()
                mine = stored is not None and stored.value["holder"] == self.id
                if not (mine and self._write(stored, self.id)):
                    self._own = None
            return self._own is not None

    def release(self) -> None:
        """Gives the lease up, so that another service gets it at once."""
        with self._lock:
            if self._own is not None:
                self._write(self._own, "")
                self._own = None

    def _stored(self) -> StateRecord | None:
        return next(iter(self._state.read(_KIND, [self._name])), None)

    def _write(self, old: StateRecord | None, holder: str) -> bool:
        started = time.monotonic()
        value = {"holder": holder}
        new = StateRecord(self._name, value) if old is None else old.changed(value=value)
        if not self._state.replace(_KIND, old, new):
            return False
        self._own, self._renewed = new, started
        return True
