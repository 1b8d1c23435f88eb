"""The scheduler: a reset is final, also for the action that runs while it comes."""

import threading

from otp_service.sandbox.clock import SystemClock
from otp_service.sandbox.scheduler import Scheduler

from .conftest import eventually


def test_a_reset_waits_for_the_action_that_has_begun() -> None:
    """Nothing that began before a reset changes anything after it, and what it puts off is dropped."""
    scheduler = Scheduler(SystemClock())
    begun, go_on, reset_over = threading.Event(), threading.Event(), threading.Event()
    done: list[str] = []

    def action() -> None:
        begun.set()
        go_on.wait(60)
        done.append("action")
        scheduler.run_after(0, lambda: done.append("put off"))

    def reset() -> None:
        scheduler.reset()
        done.append("reset")
        reset_over.set()

    scheduler.run_after(0, action)
    assert begun.wait(60)
    other = threading.Thread(target=reset)
    other.start()
    assert not reset_over.wait(0.1)
    go_on.set()
    other.join(60)
    scheduler.run_after(0, lambda: done.append("later"))
    eventually(lambda: "later" in done)
    scheduler.close()
    assert done == ["action", "reset", "later"]


def test_an_action_may_reset() -> None:
    """It does not wait for itself."""
    scheduler = Scheduler(SystemClock())
    done = threading.Event()

    def action() -> None:
        scheduler.reset()
        done.set()

    scheduler.run_after(0, action)
    assert done.wait(60)
    scheduler.close()
