"""Retry schedules: steps that repeat their last, and chance within its bounds."""

from hypothesis import given
from hypothesis import strategies as st

from otp_service.domain.backoff import Backoff

chances = st.floats(0, 1, exclude_max=True)


@given(chances)
def test_without_jitter_the_steps_are_exact_and_the_last_repeats(random: float) -> None:
    """The n-th try waits the n-th step, whatever chance says; beyond the steps it waits the last one."""
    backoff = Backoff((500, 1_000, 4_000))
    assert [backoff.wait_ms(attempt, random) for attempt in (1, 2, 3, 4, 99)] == [500, 1_000, 4_000, 4_000, 4_000]


@given(st.integers(1, 10), chances)
def test_jitter_keeps_a_wait_within_its_factors(attempt: int, random: float) -> None:
    """From the lowest factor up to the highest, and both ends can be reached."""
    backoff = Backoff((1_000, 2_000), jitter=(0.75, 1.25))
    step_ms = 1_000 if attempt == 1 else 2_000
    assert 0.75 * step_ms <= backoff.wait_ms(attempt, random) <= 1.25 * step_ms
    assert backoff.wait_ms(attempt, 0.0) == 0.75 * step_ms
    assert backoff.wait_ms(attempt, 0.999999) == int(1.25 * step_ms) - 1
