"""A store that is restarted again before anybody has decided what became of codes."""

import pytest

from otp_service.domain.checking import Approved
from otp_service.domain.ending import Ended
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.verification import Status
from otp_service.storage import connect, store_runs
from otp_service.storage.store_runs import END_CODES, ENDED, KEEP_CODES, KEPT
from otp_service.storage.told import Fact, Told

from .harness import StoreHarness
from .restarts import OVER, Machine, Process, refused, settled
from .servers import Server


def test_a_second_restart_before_the_first_is_decided_ends_nothing(machine: Machine) -> None:
    """What began before the first goes on, and what began between the two."""
    one, two = machine.process(), machine.process()
    used, unused = machine.start(), machine.start()
    assert isinstance(one.check(used), Approved)
    machine.restart()
    one.beat()
    between, used_between = machine.start(), machine.start()
    assert isinstance(two.check(used_between), Approved), "what began since is served at once"
    machine.restart()
    one.beat()
    last = machine.start()
    assert one.shown(last) == Status.PENDING
    machine.restart()
    assert refused(lambda: one.check(between))
    assert settled(one, two) == KEPT
    assert [two.check(ref) for ref in (used, used_between)] == [Ended(Status.APPROVED)] * 2
    assert [one.shown(ref) for ref in (unused, between, last)] == [Status.PENDING] * 3
    assert all(isinstance(one.check(ref), Approved) for ref in (unused, between, last))
    assert machine.events() == ['{"codes":"kept"}']


@pytest.mark.parametrize("lives", [True, False])
def test_who_first_saw_the_store_between_two_restarts_has_to_vote(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    """It has told somebody what the store forgets in the second one. Dead or alive, nothing is kept then.

    What it said in the run between is no vote in the next one.
    """
    one, two = machine.process(), machine.process()
    machine.restart()
    one.beat()
    new = Process(machine.harness, KEEP_CODES)
    for _ in range(2):
        new.beat()
    used, unused = machine.start(), machine.start()
    machine.backup()
    assert isinstance(new.check(used), Approved)
    machine.restart("backup")
    for _ in range(3):
        assert (one.beat(), two.beat()) == (None, None), "the new one's vote is missing"
    if not lives:
        monkeypatch.setattr(store_runs, "GIVE_UP_MS", 0)
    assert settled(one, two, *([new] if lives else [])) == ENDED
    assert [one.check(ref) for ref in (used, unused)] == [OVER, OVER]


@pytest.mark.parametrize("lives", [True, False])
def test_who_has_voted_has_to_vote_again_before_it_has_beaten(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, lives: bool
) -> None:
    """The store is restarted right after the decision. That ends nothing, unless a process that voted is missing."""
    one, two = machine.process(), machine.process()
    used, unused = machine.start(), machine.start()
    machine.restart()
    two.beat()
    two.beat()
    assert settled(one) == KEPT
    assert isinstance(two.check(used), Approved), "two itself has not beaten in this run"
    machine.restart()
    if lives:
        assert settled(two, one) == KEPT
        assert two.check(used) == Ended(Status.APPROVED)
        assert isinstance(one.check(unused), Approved)
    else:
        assert [one.beat() for _ in range(3)] == [KEPT] * 3
        assert refused(lambda: one.check(unused))
        monkeypatch.setattr(store_runs, "GIVE_UP_MS", 0)
        assert settled(one) == ENDED


class Hanging(Told):
    """What a process knows. When it is asked for, the store stops answering."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server: Server | None = server

    def facts(self) -> list[Fact]:
        """All of them."""
        if self.server is not None:
            self.server.hang()
        return super().facts()


def test_a_question_without_an_answer_is_no_vote(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The store hangs while a process looks whether something is missing: nothing is."""
    monkeypatch.setattr(connect, "TIMEOUT_S", 0.45)  # as ever: this store hangs
    process = Process(StoreHarness.open(f"redis://127.0.0.1:{machine.port}"), KEEP_CODES)
    process.beat()
    used, unused = machine.start(), machine.start()
    assert isinstance(process.check(used), Approved)
    machine.restart()
    process.runs._told = told = Hanging(machine.server)
    told.give_back(process.told.take())
    with pytest.raises(StoreUnavailable):
        process.beat()
    told.server = None
    machine.server.go_on()
    assert settled(process) == KEPT
    assert process.check(used) == Ended(Status.APPROVED)
    assert isinstance(process.check(unused), Approved)
    process.harness.close()


def test_what_began_a_moment_ago_is_not_called_over(machine: Machine) -> None:
    """A process that has not heard of a restart yet meets a verification of the new run."""
    process = machine.process(END_CODES)
    machine.restart()
    assert process.beat() == ENDED
    machine.restart()
    assert process.shown(machine.start()) == Status.PENDING
