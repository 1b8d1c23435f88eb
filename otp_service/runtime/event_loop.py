"""Which event loop a process uses: uvloop where it is installed. And that nothing keeps it waiting for long."""

import asyncio
import sys
from collections.abc import Callable

SWITCH_INTERVAL_S = 0.0005
"""How long another thread may keep the loop waiting for the interpreter."""


def factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes event loops."""
    try:
        import uvloop  # noqa: PLC0415 - only here, and not on every system
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def come_before_threads() -> None:
    """Have the other threads of this process give way to the loop soon."""
    sys.setswitchinterval(SWITCH_INTERVAL_S)
