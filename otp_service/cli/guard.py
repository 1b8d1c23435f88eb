"""`otp-service guard`: the guard against SMS pumping."""

from typing import Any

from . import guard_replay, guard_simulate, guard_spend, guard_status
from .parser import add_group


def register(groups: Any) -> None:
    """Add the commands to the command line."""
    guard = add_group(groups, "guard", line="the guard against SMS pumping", example="otp-service guard simulate")
    guard_simulate.register(guard)
    guard_replay.register(guard)
    guard_status.register(guard)
    guard_spend.register(guard)
