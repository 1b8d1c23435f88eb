"""The script of limits against a plain model of sliding windows, on a clock that the test moves."""

import hashlib
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otp_service.storage.script_files import Script, load

WINDOW_MS = 64_000
START_MS = 1_700_000_000_000
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(1, 12)),
        st.tuples(st.just("pass"), st.integers(1, WINDOW_MS)),
        st.tuples(st.just("pass"), st.integers(1, 1_200)),
        st.tuples(st.just("give_back"), st.integers(0, 40)),
        st.tuples(st.just("obey"), st.just(0)),
    ),
    max_size=25,
)


@cache
def on_a_clock() -> Script:
    """The script with a clock that is an argument, the last one. The server's own clock ends no key."""
    script = load("limit/take")
    text = script.text.replace("redis.call('TIME')", "{0, ARGV[5] * 1000}")
    text = text.replace(", 'PX', groups[1].at + window_ms - now", "")
    assert text.count("PX") == 0
    return replace(script, text=text, sha=hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


class Windows:
    """One limit in the store, and beside it the times of all that were taken and not given back."""

    def __init__(self, raw: Any, most: int) -> None:
        self.raw, self.most, self.now_ms = raw, most, START_MS
        self.taken: list[int] = []
        raw.delete("windows")

    def run(self, action: str, mark: str = "") -> tuple[int, str]:
        """Run the script."""
        script = on_a_clock()
        wait, at = self.raw.eval(script.text, 1, "windows", action, self.most, WINDOW_MS, mark, self.now_ms)
        return int(wait), at.decode()

    def in_window(self, at_ms: int) -> int:
        """How many of those that were taken the window that ends then holds."""
        return sum(at_ms - WINDOW_MS < one <= at_ms for one in self.taken)

    def take(self) -> int:
        """One more; the wait."""
        looked = self.run("look")[0]
        wait, at = self.run("take")
        assert wait == looked
        if not wait:
            self.taken.append(int(at))
        return wait


@pytest.mark.parametrize("most", [1, 3, 20, 200])
@given(steps=STEPS)
@settings(max_examples=15)
def test_a_window_never_holds_more(redis_server: Any, most: int, steps: list[tuple[str, int]]) -> None:
    """Whatever is given back; a limit of few slots refuses only where the model does, and each wait is exact.

    Of a limit with many slots one is free a 64th of the window late at most.
    """
    late_ms = WINDOW_MS // 64 if most > 128 else 0
    limit = Windows(redis_server, most)
    for action, number in steps:
        if action == "pass":
            limit.now_ms += number
        elif action == "give_back" and limit.taken:
            mark = limit.taken.pop(number % len(limit.taken))
            limit.run("give_back", str(mark))
        elif action == "take":
            for _ in range(number * max(1, most // 8)):
                before = limit.in_window(limit.now_ms)
                if limit.take():
                    assert before + 1 > most or late_ms
        elif action == "obey":
            wait = limit.run("look")[0]
            limit.now_ms += wait
            assert limit.take() == 0
            assert not wait or late_ms or limit.in_window(limit.now_ms - 1) >= most - 1
        assert all(limit.in_window(at_ms) <= most for at_ms in limit.taken)
    # Nothing is left once all windows have passed.
    limit.now_ms += WINDOW_MS + late_ms
    assert all(limit.take() == 0 for _ in range(most))
    assert limit.take() > 0
