"""When a failover counts as harmless: something happened, and all of it was right."""

import threading
from dataclasses import asdict, replace
from typing import Any

import pytest

from .__main__ import Row, failures

ZEROS = Row("planned", 0, 0, 0, 0, 0, 0.0, 0, 0.0, 0, 0, 0, 0, 0)
WELL = replace(ZEROS, accepted=100, factors=20)


def with_(**members: Any) -> Row:
    """A failover that went well, but for this."""
    return Row(**{**asdict(WELL), **members})


def failing() -> None:
    """What a caller may come to."""
    raise RuntimeError


def test_nothing_that_happened_is_no_success() -> None:
    """No start, no factor, a caller that failed, or what was good twice or lost."""
    assert ZEROS.is_broken
    assert not WELL.is_broken
    assert not with_(refused=9, slowest_refusal_s=0.3, gap_s=2.0, steps_twice=0).is_broken
    for name, value in (("accepted", 0), ("factors", 0), ("failed", 1), ("twice", 1), ("factors_lost", 1)):
        assert with_(**{name: value}).is_broken, name


def test_a_thread_that_fails_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It ends in an exception; afterwards nobody counts any more."""
    monkeypatch.setattr(threading, "excepthook", lambda _args: None)
    before = threading.excepthook
    with failures() as found:
        for target in (list, failing):
            thread = threading.Thread(target=target, name="caller")
            thread.start()
            thread.join()
    assert found == ["caller"]
    assert threading.excepthook is before
