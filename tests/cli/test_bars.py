"""Progress bars."""

from __future__ import annotations

import time
from io import StringIO

from rich.console import Console

from lookalike.cli.terminal import bars
from lookalike.system import patience


def test_a_bar_says_what_is_waited_for() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=120)
    with bars.stage_bar(console) as show, patience.waiting("waiting for http://host/shop"):
        assert show is not None
        show("reading", 1, 2)
        time.sleep(0.3)  # it is drawn again by itself
    assert "waiting for http://host/shop" in out.getvalue()
    assert patience.current_wait() is None
