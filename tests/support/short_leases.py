"""`lookalike`, whose services take over from one another after two seconds instead of ten."""

from __future__ import annotations

from lookalike.api.jobs import lease, queue
from lookalike.cli import cli

if __name__ == "__main__":
    lease.LEASE, lease.HOLD, lease.RENEWAL = 2.0, 1.2, 0.3
    queue.POLL_SECONDS = 0.2
    cli()
