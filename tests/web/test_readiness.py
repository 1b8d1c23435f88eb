"""The last judgement of the checks: when it is made, how long it is good, and what is told where none comes."""

from otp_service.domain.errors import NotReady, StoreUnavailable
from otp_service.web.readiness import GOOD_FOR_S, STALE_S, Readiness


class Checks:
    """Two checks, which are counted, and a clock that the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.looks = 0
        self.fault: Exception | None = None
        self.warning: str | None = None
        self.ending = False
        self.readiness = Readiness(
            [("store", self._store), ("writes", lambda: self.warning)], lambda: self.ending, lambda: self.now_s
        )

    def _store(self) -> None:
        self.looks += 1
        if self.fault is not None:
            raise self.fault

    def pause(self, times: int) -> bool:
        """Time goes on; whether the process ends."""
        self.now_s += GOOD_FOR_S
        return self.looks >= times


def test_who_asks_often_asks_the_store_once() -> None:
    """Within half a second; then it is looked at again."""
    checks = Checks()
    assert [checks.readiness.now().reasons for _ in range(5)] == [[]] * 5
    assert checks.looks == 1
    checks.now_s += GOOD_FOR_S
    checks.warning = "one shard is dead"
    assert checks.readiness.now().warnings == [{"check": "writes", "detail": "one shard is dead"}]
    assert checks.looks == 2


def test_the_last_judgement_is_told_without_a_look() -> None:
    """Ready or not; the check after a store that does not answer is not tried."""
    checks = Checks()
    checks.readiness.now()
    checks.fault = StoreUnavailable("The store does not answer.")
    checks.warning = "not looked at"
    assert checks.readiness.last().reasons == []
    checks.now_s += GOOD_FOR_S
    checks.readiness.now()
    assert checks.readiness.last().reasons == [{"check": "store", "detail": "The store does not answer."}]
    assert checks.readiness.last().warnings == []
    assert checks.looks == 2


def test_a_judgement_ages() -> None:
    """Before the first look, and when no look ends, the process is not ready."""
    checks = Checks()
    assert checks.readiness.last().reasons
    checks.readiness.now()
    assert not checks.readiness.last().reasons
    checks.now_s += STALE_S
    assert checks.readiness.last().reasons


def test_a_process_that_ends_is_not_ready() -> None:
    """At once, without a look."""
    checks = Checks()
    checks.readiness.now()
    checks.ending = True
    assert checks.readiness.last().reasons[0]["check"] == "process"


def test_it_is_kept_fresh_until_the_end() -> None:
    """One look after each pause; a fault of our own ends nothing, but is no good judgement."""
    checks = Checks()
    checks.readiness.keep_fresh(lambda _: checks.pause(3))
    assert checks.looks == 3
    checks.fault = NotReady("full")
    checks.readiness.keep_fresh(lambda _: checks.pause(4))
    assert checks.readiness.last().reasons == [{"check": "store", "detail": "full"}]
    checks.fault = KeyError("a mistake")
    checks.readiness.keep_fresh(lambda _: checks.pause(20))
    assert checks.readiness.last().reasons[0]["check"] == "readiness"
