"""`audit explain` over a ledger: the decisions of real scripts, and a ledger that somebody changed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from otp_service import config
from otp_service.bootstrap.configuration import configuration_hash, configuration_of
from otp_service.bootstrap.explaining import refusal_of
from otp_service.cli.main import main
from otp_service.domain.audit import EventType
from otp_service.domain.delivery import Accepted, Action, NotSent, Refused
from otp_service.domain.denial import Denial
from otp_service.domain.explaining.record import Basis
from otp_service.domain.optout_list import OptOut
from otp_service.domain.policy import App
from otp_service.signed_log.explaining import NotExplained, explain_record, recompute
from otp_service.storage.callers import set_policy

from ..storage.harness import _KEYRING_BYTES, CODE, WRONG, fresh_number, word
from .harness import LedgerHarness

TOML = """
[senders.pool]
kind = "number_pool"
messaging_profile_id = "profile-a"
[senders.backup]
kind = "long_code"
from = "+18445550001"
messaging_profile_id = "profile-b"
[apps.shop]
brand = "Acme"
route = ["pool", "backup"]
"""
STOPPED = OptOut("profile-a", True, 1, "STOP", "inbound")
NOT_IN_TIME = Refused("40002", "Spam", Action.NEXT_SENDER)


class Decided:
    """A ledger with every kind of decision, made by the scripts under one configuration."""

    def __init__(self, ledger: LedgerHarness, shop: App) -> None:
        self.ledger, self.store, self.shop = ledger, ledger.store, shop

    def everything(self) -> None:
        """Log in, fail over, deny, opt out, exhaust, cancel; each with a number of its own."""
        self._log_in()
        self._fail_over()
        self._opt_out()
        self._end_otherwise()
        self.ledger.export_all()

    def _log_in(self) -> None:
        number = fresh_number()
        ref = self.store.start(number, self.shop).reference
        self.store.refused(number, self.shop)
        self.store.send(ref)
        self.store.check(ref, WRONG, self.shop)
        self.store.check(ref, CODE, self.shop)
        self.store.start(number, self.shop)

    def _fail_over(self) -> None:
        ref = self.store.start(fresh_number(), self.shop).reference
        job = self.store.take(ref)
        self.store.must_begin(job, self.shop)
        self.store.deliveries.record_retry(job, 1, NotSent("connect"))
        job = self.store.requeue(ref)
        self.store.must_begin(job, self.shop)
        self.store.deliveries.record_refused(job, NOT_IN_TIME)
        other = self.store.take(ref)
        self.store.must_begin(other, self.shop)
        self.store.deliveries.record_accepted(other, Accepted("m", "queued"))
        now = self.store.now() + 1
        self.store.verifications.deny(ref, Denial(frozenset({"shop"}), frozenset({"pool", "backup"}), now, now))

    def _opt_out(self) -> None:
        number = fresh_number()
        self._write(number, "profile-a", out=True)
        ref = self.store.start(number, self.shop).reference
        self._write(number, "profile-b", out=True)
        assert self.store.begin(self.store.take(ref), self.shop) is None
        assert self.store.refused(number, self.shop).code == "opted_out"
        self._write(number, "profile-a", out=False)

    def _write(self, number: str, profile: str, *, out: bool) -> None:
        keyword = "STOP" if out else "START"
        wish = OptOut(profile, out, self.store.now(), keyword, "inbound")
        self.store.optouts.record(self.store.hash_of(number), "+1******0100", wish, word("event"))

    def _end_otherwise(self) -> None:
        number = fresh_number()
        ref = self.store.start(number, self.shop).reference
        for _ in range(self.shop.max_checks):
            self.store.check(ref, WRONG, self.shop)
        ref = self.store.start(fresh_number(), self.shop).reference
        self.store.verifications.cancel(word(), ref, "shop")
        self.store.begin(self.store.take(ref), self.shop)

    def seqs(self) -> dict[str, list[int]]:
        """The records of each type of decision."""
        found: dict[str, list[int]] = {}
        for row in self.ledger.rows():
            found.setdefault(row.type, []).append(row.seq)
        return found

    def explain(self, seq: int) -> Any:
        """The explanation of a record."""
        found = explain_record(self.ledger.database, str(seq), refusal_of)
        assert found is not None
        return found.explanation

    def change(self, seq: int, **detail: Any) -> None:
        """Edit a record behind everybody's back, with its hash."""
        row = self.ledger.rows()[seq - 1]
        leaf = json.loads(row.leaf)
        leaf["detail"] |= detail
        self.run("UPDATE records SET leaf = :leaf WHERE seq = :seq", leaf=json.dumps(leaf).encode(), seq=seq)

    def run(self, sql: str, **values: Any) -> None:
        """Change the database."""
        with self.ledger.database.writing() as connection:
            connection.execute(text(sql), values)


@pytest.fixture
def decided(ledger: LedgerHarness, tmp_path: Path) -> Iterator[Decided]:
    """Everything was decided under a configuration that is in the ledger."""
    (tmp_path / "c.toml").write_text(TOML)
    settings = config.load({"OTP_CONFIG": str(tmp_path / "c.toml")})
    set_policy(configuration_hash(settings))
    try:
        content = {"policy": f"sha256:{configuration_hash(settings)}", "configuration": configuration_of(settings)}
        ledger.store.audit.record(EventType.CONFIGURATION_LOADED, content)
        made = Decided(ledger, settings.policy.apps["shop"])
        made.everything()
        yield made
    finally:
        set_policy("")


def test_every_decision_explains_itself(decided: Decided) -> None:
    """The same outcome; a step is recomputed in each. What is no decision says so."""
    seqs = decided.seqs()
    made = [seq for name, found in seqs.items() if name not in _NO_DECISION for seq in found]
    for seq in made:
        explanation = decided.explain(seq)
        assert explanation.agrees, (seq, explanation)
        assert {Basis.RECOMPUTED} <= {step.basis for step in explanation.steps}
    assert {*seqs} - _NO_DECISION == _DECISIONS
    with pytest.raises(NotExplained, match="no decision"):
        decided.explain(seqs["configuration.loaded"][0])
    assert explain_record(decided.ledger.database, "9999", refusal_of) is None


_NO_DECISION = {"configuration.loaded", "delivery.sent", "delivery.put_off"}
_DECISIONS = {
    *("verification.started", "verification.refused", "verification.approved", "verification.denied"),
    *("verification.exhausted", "verification.canceled", "check.failed", "optout.added", "optout.removed"),
    *("delivery.queued", "delivery.sending", "delivery.retried", "delivery.failed", "delivery.fell_back"),
    "delivery.suppressed",
}


def test_what_was_edited_differs(decided: Decided) -> None:
    """An outcome that the rules do not come to, whoever made its hash anew; a record without its hash; an end."""
    seqs = decided.seqs()
    changes = (
        ("check.failed", {"checks_left": 3}),
        ("verification.refused", {"code": "rate_limited"}),
        ("delivery.queued", {"sender": "nobody"}),
        ("delivery.retried", {"try": 1}),
        ("optout.added", {"keyword": "HELP"}),
    )
    for kind, detail in changes:
        seq = seqs[kind][-1]
        decided.change(seq, **detail)
        explanation = decided.explain(seq)
        assert [step.fact for step in explanation.steps if not step.holds][:1] == [f"record {seq}"]
        assert explanation.recorded != explanation.recomputed, kind


def test_an_edited_configuration_differs(decided: Decided) -> None:
    """Its content has another hash than the one by which it is named, and the rules come to something else."""
    failed = decided.seqs()["check.failed"][0]
    sql = "UPDATE configurations SET content = replace(content, :old, :new)"
    decided.run(sql, old='"max_checks":5', new='"max_checks":9')
    explanation = decided.explain(failed)
    assert (explanation.recorded, explanation.recomputed) == ("wrong, 4 checks left", "wrong, 8 checks left")
    assert [step.fact for step in explanation.steps if not step.holds] == ["the configuration"]
    decided.run("DELETE FROM configurations")
    with pytest.raises(NotExplained, match=r"the configuration sha256:[0-9a-f]+ is not on record"):
        decided.explain(failed)


def test_of_who_was_erased_the_verification_is_known(decided: Decided) -> None:
    """What counted against the number is gone, and that is said."""
    seqs = decided.seqs()
    decided.run("UPDATE records SET number_hash = NULL")
    for kind in ("verification.approved", "check.failed", "delivery.fell_back"):
        explanation = decided.explain(seqs[kind][0])
        assert explanation.agrees
        assert "it was erased: what counted against it is not known any more" in [one.rule for one in explanation.steps]
    # Without what counted against the number, an honest record must not seem to differ.
    opted_out = (seqs["verification.refused"][-1], seqs["delivery.suppressed"][0])
    for seq in (*opted_out, seqs["optout.added"][0], seqs["optout.removed"][0]):
        with pytest.raises(NotExplained, match="erased"):
            decided.explain(seq)


def test_an_erased_stop_is_not_judged_by_that_of_somebody_else(decided: Decided) -> None:
    """Neither names a verification."""
    decided.store.optouts.record(decided.store.hash_of(fresh_number()), "+1******0101", STOPPED, word("event"))
    decided.ledger.export_all()
    first = decided.seqs()["optout.added"][0]
    decided.run("UPDATE records SET number_hash = NULL WHERE seq <= :seq", seq=first)
    with pytest.raises(NotExplained, match="the number was erased"):
        decided.explain(first)


def test_a_record_that_cannot_be_read_is_named(
    decided: Decided, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody edited it: it is a finding, and no command ends with a traceback."""
    own_keyring(tmp_path, monkeypatch)
    monkeypatch.setenv("OTP_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    started, failed, refused = (
        decided.seqs()[kind][0] for kind in ("verification.started", "check.failed", "verification.refused")
    )
    decided.change(started, max_checks="five")
    decided.change(refused, wait_ms="soon")
    decided.run("UPDATE records SET leaf = :leaf WHERE seq = :seq", leaf=b"{", seq=failed)
    for seq in (started, failed, refused):
        assert main(["audit", "explain", str(seq)]) == 1
    assert f"record {failed}, or what it rests on, cannot be read" in capsys.readouterr().err
    assert main(["audit", "check", "--decisions"]) == 1
    printed = capsys.readouterr().out
    assert f"record {failed}: it, or the configuration that it names, cannot be read" in printed
    assert f"record {refused}: it, or what it rests on, cannot be read" in printed
    assert "FAIL  every record can be read: 1 times not" in printed


def own_keyring(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands find the store's."""
    ring = directory / "keyring.json"
    ring.touch(0o600)
    ring.write_bytes(_KEYRING_BYTES)
    monkeypatch.setenv("OTP_KEYRING", str(ring))


def test_the_command(
    decided: Decided, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A table and JSON; the exit status is 1 for what differs and for what cannot be explained."""
    monkeypatch.setenv("OTP_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    seq = decided.seqs()["check.failed"][0]
    assert main(["audit", "explain", str(seq)]) == 0
    assert "the outcome is the same" in capsys.readouterr().out
    decided.change(seq, checks_left=3)
    assert main(["audit", "explain", str(seq), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["recorded"], told["recomputed"], told["agrees"]) == (
        "wrong, 3 checks left",
        "wrong, 4 checks left",
        False,
    )
    assert main(["audit", "explain", "9999"]) == 1
    assert "the ledger has no record 9999" in capsys.readouterr().err


def test_a_period_is_recomputed(
    decided: Decided, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every decision of it; those that differ are named, those of who was erased are counted."""
    seqs = decided.seqs()
    count = sum(len(found) for kind, found in seqs.items() if kind in _DECISIONS)
    found = recompute(decided.ledger.database, 0, None, refusal_of)
    assert (found.decisions, found.unknown, found.differ) == (count, 0, [])
    now_ms = decided.store.now()
    assert recompute(decided.ledger.database, now_ms + 60_000, None, refusal_of).decisions == 0
    assert recompute(decided.ledger.database, 0, now_ms + 60_000, refusal_of).decisions == count
    failed = seqs["check.failed"][0]
    decided.change(failed, checks_left=3)
    found = recompute(decided.ledger.database, 0, None, refusal_of)
    assert [seq for seq, _ in found.differ] == [failed]
    own_keyring(tmp_path, monkeypatch)
    monkeypatch.setenv("OTP_LEDGER_URL", f"sqlite:///{tmp_path / 'ledger.db'}")
    assert main(["audit", "check", "--decisions"]) == 1
    assert f"record {failed}: check.failed is `wrong, 3 checks left`, and by the rules" in capsys.readouterr().out
    decided.run("UPDATE records SET number_hash = NULL")
    found = recompute(decided.ledger.database, 0, None, refusal_of)
    assert (found.decisions, found.unknown) == (0, count)
