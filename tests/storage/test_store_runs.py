"""A store that was restarted, put back or emptied: what it may have forgotten is not approved, and it says so."""

import pytest

from otp_service import telemetry
from otp_service.domain.audit import EventType
from otp_service.domain.checking import Approved, Wrong
from otp_service.domain.ending import Ended, NotFound, Redeemed
from otp_service.domain.factor_checking import CodeUsed, FactorApproved
from otp_service.domain.ids import Reference
from otp_service.domain.person import budgets
from otp_service.domain.policy import Limit, NumberLimits
from otp_service.domain.verification import Status
from otp_service.storage import store_runs
from otp_service.storage.people import People
from otp_service.storage.schema.fields import Record, StoreRun
from otp_service.storage.store_runs import EMPTIED, END_CODES, ENDED, KEEP_CODES, KEPT
from otp_service.storage.told import MOST, Told

from .factors import active, guess, new_subject, step_of, tries
from .harness import CODE, EVERYWHERE, SHOP, WRONG, StoreHarness, fresh_number
from .restarts import OVER, Machine, Process, refused, settled

STEP_MS = 30_000


def serves(machine: Machine, process: Process) -> bool:
    """Whether a login that begins now works, and its code once."""
    fresh = machine.start()
    wrong, right, again = (process.check(fresh, code) for code in (WRONG, CODE, CODE))
    return isinstance(wrong, Wrong) and isinstance(right, Approved) and again == Ended(Status.APPROVED)


def test_codes_outlive_a_restart_of_a_whole_store(machine: Machine) -> None:
    """Until it is known that nothing is lost, nobody is told anything of what began before."""
    one, two = machine.process(), machine.process()
    used, unused, receipt = machine.start(), machine.start(), machine.start()
    approved = one.check(receipt)
    assert isinstance(approved, Approved)
    assert isinstance(two.check(used), Approved)
    machine.restart()
    assert refused(lambda: one.check(unused))
    assert refused(lambda: machine.cancel(unused))
    assert serves(machine, one), "what begins now is served at once"
    assert settled(one, two) == KEPT
    assert two.check(used) == Ended(Status.APPROVED)
    assert two.shown(unused) == Status.PENDING
    assert isinstance(two.check(unused), Approved)
    redeemed = machine.redeem(receipt, approved)
    assert isinstance(redeemed, Redeemed)
    assert machine.events() == ['{"codes":"kept"}']
    machine.restart()
    assert settled(one, two) == KEPT
    again = machine.redeem(receipt, approved)
    assert isinstance(again, Redeemed)
    assert not again.first


def test_a_backup_that_is_put_back_approves_nothing_of_before(machine: Machine) -> None:
    """Neither a code that was used after it, nor one that was not, nor a receipt. Those who live know more than it."""
    process = machine.process()
    used, unused, receipt = machine.start(), machine.start(), machine.start()
    approved = process.check(receipt)
    assert isinstance(approved, Approved)
    process.beat()
    machine.backup()
    assert isinstance(process.check(used), Approved)
    machine.restart("backup")
    assert settled(process) == ENDED
    assert [process.check(ref) for ref in (used, unused)] == [OVER, OVER]
    assert machine.redeem(receipt, approved) == NotFound()
    assert machine.events() == ['{"codes":"ended"}']
    assert serves(machine, process)


def test_a_backup_is_put_back_while_nobody_lives(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who knew the store is gone: after a while nothing is kept."""
    monkeypatch.setattr(store_runs, "GIVE_UP_MS", 0)
    machine.process()
    unused = machine.start()
    machine.restart()
    assert settled(Process(machine.harness, KEEP_CODES)) is None
    assert machine.harness.check(unused, CODE) == OVER
    assert machine.events() == ['{"codes":"ended"}']


def test_a_truncated_file_keeps_nothing(machine: Machine) -> None:
    """The approval stood at the end that is cut off. The process that told it remembers."""
    process = machine.process()
    used, unused = machine.start(), machine.start()
    assert isinstance(process.check(used), Approved)
    machine.server.kill()
    (file,) = (machine.directory / "files/appendonlydir").glob("*.incr.aof")
    data = file.read_bytes()
    # Where the script's writes begin.
    at = data.rindex(b"*1\r\n$5\r\nMULTI", 0, data.rindex(b"approved"))
    file.write_bytes(data[:at])
    machine.begin("files")
    assert machine.harness.raw.hget(machine.harness.keys.record(used), Record.STATUS) == "pending"
    assert settled(process) == ENDED
    assert [process.check(ref) for ref in (used, unused)] == [OVER, OVER]


def test_a_process_that_says_nothing_keeps_nothing(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have told somebody what the store has forgotten."""
    one, _ = machine.process(), machine.process()
    ref = machine.start()
    machine.restart()
    assert refused(lambda: one.check(ref))
    one.beat()
    one.beat()
    assert refused(lambda: one.check(ref))
    monkeypatch.setattr(store_runs, "GIVE_UP_MS", 0)
    assert settled(one) == ENDED
    assert one.check(ref) == OVER


def test_where_codes_end_nothing_is_undecided(machine: Machine) -> None:
    """As where replicas may take over: at once, whether somebody looks or not."""
    process = machine.process(END_CODES)
    ref = machine.start()
    machine.restart()
    assert process.shown(ref) == Status.PENDING
    assert process.beat() == ENDED
    assert process.shown(ref) == Status.EXPIRED, "to everybody, before a check has ended it"
    assert process.check(ref) == OVER
    assert serves(machine, process)


def test_whose_code_the_store_has_ended_may_ask_again_at_once(machine: Machine) -> None:
    """Once, whether a check has said that it is over or not, and however often it was sent. The caps count every
    message, and an own end none less."""
    process, harness = machine.process(END_CODES), machine.harness
    told, untold, canceled, resent = numbers = [fresh_number() for _ in range(4)]
    refs = {number: harness.start(number).reference for number in numbers}
    harness.age(refs[resent], 40_000)
    assert harness.start(resent).reference == refs[resent]
    machine.cancel(refs[canceled])
    machine.restart()
    assert process.beat() == ENDED
    assert process.check(refs[told]) == OVER
    assert harness.refused(canceled).code == "resend_too_soon"
    people = People(harness.store, harness.scripts, harness.keys)
    for number in (told, untold):
        only_one = NumberLimits(sends=(Limit(1, 60_000),))
        assert harness.refused(number, per_number=only_one).code == "rate_limited"
        again = harness.start(number)
        assert again.reference not in refs.values()
        assert harness.refused(number).code == "resend_too_soon"
        known = people.remembered(harness.hash_of(number))
        assert [(sent.app, sent.purpose) for sent in known.sends] == [("shop", "login"), ("shop", "")]
        used = {one.name: one.used for one in budgets(known, SHOP, EVERYWHERE) if one.used}
        assert used == {"resend_after": 1, "starts_per_number": 2, "service.sends_per_number": 2}
    harness.start(resent)
    assert [sent.purpose for sent in people.remembered(harness.hash_of(resent)).sends] == ["login", "", ""]


def test_each_shard_of_a_cluster_has_a_run_of_its_own(harness: StoreHarness) -> None:
    """Codes of one that was restarted are over, whatever the setting; the others' go on."""
    process = Process(harness, KEEP_CODES)
    assert process.beat() is None
    refs = [harness.start(fresh_number()).reference for _ in range(20)]
    over, alive = refs[0], next(ref for ref in refs if shard_of(harness, ref) != shard_of(harness, refs[0]))
    harness.raw.hset(harness.keys.record(over), Record.RUN, "another")
    harness.raw.hset(harness.keys.run(shard_of(harness, over)), StoreRun.RUN, "another")
    if harness.store.is_cluster:
        assert Process(harness, KEEP_CODES).beat() == ENDED
        details = [event["detail"] for event in harness.audited_in(shard_of(harness, over))]
        assert details.count('{"codes":"ended"}') == 1
        assert harness.check(over, CODE) == OVER
    else:
        assert refused(lambda: harness.check(over, CODE)), "a single server waits for the verdict"
    assert isinstance(harness.check(alive, CODE), Approved)


def shard_of(harness: StoreHarness, ref: Reference) -> int:
    """Where it is kept."""
    return harness.keys.shard(ref.number_hash)


def test_a_step_of_an_authenticator_is_not_good_again(machine: Machine) -> None:
    """All that could be used before the restart counts as used, and costs no try; a later step is surely new."""
    harness, process = machine.harness, machine.process(END_CODES)
    subject = new_subject(harness)
    app = active(harness, subject)
    machine.backup()
    step = step_of(harness) + 1
    assert isinstance(guess(harness, subject, steps=[(app.token, step)]), FactorApproved)
    machine.restart("backup")
    assert isinstance(guess(harness, subject, steps=[(app.token, step)]), CodeUsed), "it is not noted yet"
    assert process.beat() == ENDED
    run = harness.keys.run(harness.keys.shard(subject.hash))
    since = int(harness.raw.hget(run, StoreRun.SINCE))
    for used in (since // STEP_MS, since // STEP_MS + 1):
        assert isinstance(guess(harness, subject, steps=[(app.token, used)]), CodeUsed)
    assert tries(harness, subject) == 0
    harness.raw.hset(run, StoreRun.SINCE, since - 2 * STEP_MS)
    assert isinstance(guess(harness, subject, steps=[(app.token, step_of(harness) + 1)]), FactorApproved)


def test_a_store_that_nobody_watches_keeps_nothing(machine: Machine) -> None:
    """No process has said what it is to do."""
    ref = machine.start()
    machine.restart()
    assert machine.harness.check(ref, CODE) == OVER


def test_a_store_that_is_emptied_says_so(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    """For ten minutes, to every process that knew it before; a new process on an empty store has nothing to say."""
    one, two = machine.process(), machine.process()
    machine.harness.raw.flushall()
    counted = telemetry.STORE_RUNS.labels("emptied")
    before = counted._value.get()
    assert (one.beat(), two.beat()) == (EMPTIED, EMPTIED)
    assert counted._value.get() - before == 2
    reasons = [getattr(record, "reason", "") for record in caplog.records]
    assert reasons.count(EMPTIED) == 2
    assert Process(machine.harness, KEEP_CODES).beat() is None
    machine.harness.outbox.open()
    assert serves(machine, one)
    assert machine.events(EventType.STORE_EMPTIED) == ["{}"]


def test_a_primary_of_a_cluster_that_is_emptied_says_so(harness: StoreHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """To every process that knew it before, as on a single server."""
    monkeypatch.setattr(store_runs, "CLUSTER_LOOK_S", 0.0)
    one, two = Process(harness, END_CODES), Process(harness, END_CODES)
    assert (one.beat(), two.beat()) == (None, None)
    harness.raw.flushall()
    assert (one.beat(), two.beat()) == (EMPTIED, EMPTIED)
    assert Process(harness, END_CODES).beat() is None


def test_what_was_told_is_remembered_until_a_beat_is_answered() -> None:
    """What was told while one was on its way is kept."""
    told = Told()
    told.add("a", "f", "1")
    taken = told.take()
    told.add("b", "f", "1")
    told.give_back(taken)
    assert told.facts() == [("a", "f", "1"), ("b", "f", "1")]
    wholes = [told.is_whole]
    for _ in range(MOST):
        told.add("c", "f", "1")
    assert [*wholes, told.is_whole] == [True, False]
    assert len(told.facts()) == MOST
