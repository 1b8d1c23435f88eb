"""Which event loop a process uses: uvloop where it is installed."""

import asyncio
from collections.abc import Callable


def factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Makes event loops."""
    try:
        import uvloop  # noqa: PLC0415 - only here, and not on every system
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop
