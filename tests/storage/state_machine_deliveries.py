"""What workers, the carrier and the person can do to a delivery, in the store and in the model."""

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, consumes, multiple, precondition, rule

from otp_service.domain.delivery import Accepted, NotSent, Unknown
from otp_service.domain.denial import Denial
from otp_service.domain.ids import Reference
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.verification import Status

from .harness import BACKUP, POOL
from .state_machine_callers import Callers
from .state_model import APPS, HOWS, LIMITS, NEXT, STOP, WORDS, Model


class Workers(Callers):
    """Take, send, report, deny and close."""

    jobs = Bundle("jobs")

    @precondition(lambda self: self.models)
    @rule(target=jobs)
    def take(self) -> object:
        """A worker takes what waits."""
        ref = next(iter(self.models))
        return multiple(*[job for job in self.harness.jobs(ref) if job.reference in self.models])

    @precondition(lambda self: self.models)
    @rule(how=st.sampled_from(HOWS))
    def take_and_work(self, how: str) -> None:
        """A worker that is not slow."""
        ref = next(iter(self.models))
        for job in [job for job in self.harness.jobs(ref) if job.reference in self.models]:
            self.try_one(job, how)

    @rule(job=consumes(jobs), how=st.sampled_from(HOWS))
    def work(self, job: Job, how: str) -> None:
        """A worker that is slow."""
        self.try_one(job, how)

    def try_one(self, job: Job, how: str) -> None:
        """A try, and what came of it."""
        self.away_from_edges()
        ref, ordinal, deliveries = job.reference, job.ordinal, self.harness.deliveries
        model = self.models[ref]
        record = self.harness.record(ref)
        status = record[f"{ordinal}:status"]
        send = model.send_of[ordinal]
        arrived = any(
            record[f"{n}:status"] == "delivered" and record[f"{n}:send"] == record[f"{ordinal}:send"]
            for n in model.send_of
            if n != ordinal
        )
        permit = self.harness.begin(job, model.app, per_number=LIMITS)
        replaced = send.number < model.sends
        may = not self.budget_wait(model.app, self.harness.now()) and model.usable and not arrived and not replaced
        assert (permit is not None) == (may and status in ("queued", "sending", "unknown"))
        if permit is None:
            ended = self.harness.status(ref, ordinal)
            # What the caller or the person stopped counts still.
            if ended != status and ended != "unknown" and model.seen_as in (Status.PENDING, Status.EXPIRED):
                self._given_back(ref, model, ordinal)
            return
        model.lost_tries[ordinal] = model.lost_tries.get(ordinal, 0) + 1
        if how == "accepted":
            deliveries.record_accepted(job, Accepted(f"m{ordinal}", "queued"))
            model.accepted.add(send.number)
        elif how in ("next", "stop"):
            answer = deliveries.record_refused(job, NEXT if how == "next" else STOP)
            self._claims(ref, ordinal, answer == "failed_over")
            if answer == "failed":
                self._given_back(ref, model, ordinal)
        elif how == "retry":
            deliveries.record_retry(job, 1, NotSent("connect"))
            model.lost_tries[ordinal] -= 1
        elif how == "unknown":
            deliveries.record_unknown(job, 1, Unknown("timeout"))
        elif how == "gone":
            assert deliveries.record_impossible(job, "gone", "gone") == "unknown"

    def _given_back(self, ref: Reference, model: Model, ordinal: int) -> None:
        """The n-th delivery came to nothing; its send counts no longer unless the person may have a message of it."""
        send = model.send_of[ordinal]
        if send.number in model.accepted:
            return
        for n, other in model.send_of.items():
            under_way = self.harness.status(ref, n) in ("unknown", "sending")
            if other.number == send.number and under_way and model.lost_tries.get(n, 0) > 0:
                return
        if send in self.counted:
            self.counted.remove(send)
        if send.number == model.sends and len(model.send_of) < 20:
            model.sends -= 1

    @precondition(lambda self: self.models)
    @rule(data=st.data(), status=st.sampled_from(WORDS))
    def webhook(self, data: st.DataObject, status: str) -> None:
        """The carrier reports a delivery, early, late or again."""
        ref = self.one_of(data)
        count = int(self.harness.record(ref)["deliveries"])
        ordinal = data.draw(st.integers(1, count))
        before = self.harness.record(ref)
        self.harness.apply(ref, status, f"m{ordinal}", ordinal)
        after = self.harness.record(ref)
        self.models[ref].accepted.add(self.models[ref].send_of[ordinal].number)
        self._claims(ref, ordinal, after["deliveries"] != before["deliveries"])
        assert after["status"] == before["status"]
        assert int(after["deliveries"]) - count in (0, 1)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def deny(self, data: st.DataObject) -> None:
        """The person says that it was not them."""
        ref = self.one_of(data)
        model, record = self.models[ref], self.harness.record(ref)

        def gone(n: int) -> bool:
            lost = record[f"{n}:status"] in ("unknown", "sending") and model.lost_tries.get(n, 0) > 0
            return (f"{n}:message_id" in record or lost) and f"{n}:first_try_ms" in record

        now = self.harness.now() + 1
        denial = Denial(frozenset(APPS), frozenset({POOL.name, BACKUP.name}), now, now)
        answer = self.harness.verifications.deny(ref, denial)
        assert (answer == "denied") is (model.usable and any(gone(n) for n in model.send_of))
        if answer == "denied":
            model.status = Status.DENIED

    @precondition(lambda self: self.models)
    @rule(data=st.data(), how=st.sampled_from(HOWS))
    def retry(self, data: st.DataObject, how: str) -> None:
        """A wait is over: the delivery comes back to a worker."""
        ref = self.one_of(data)
        for timer in [name for name in self.harness.timers(ref) if name.startswith(f"retry:{ref.delivery_id(0)[:-1]}")]:
            ordinal = int(timer.rpartition("-")[2])
            shard = self.harness.keys.shard(ref.number_hash)
            self.harness.raw.zadd(self.harness.keys.timers(shard), {timer: 1})
            waits = self.harness.status(ref, ordinal) in ("queued", "sending", "unknown")
            assert self.harness.due_deliveries.requeue(Timer(shard, "retry", ref, ordinal)) is waits
        self.take_and_work(how)

    @precondition(lambda self: self.models)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        """The worker closes what gets no report any more."""
        ref = self.one_of(data)
        for timer in [
            name for name in self.harness.timers(ref) if name.startswith(f"closing:{ref.delivery_id(0)[:-1]}")
        ]:
            ordinal = int(timer.rpartition("-")[2])
            shard = self.harness.keys.shard(ref.number_hash)
            self.harness.raw.zadd(self.harness.keys.timers(shard), {timer: 1})
            if self.harness.due_deliveries.close_delivery(Timer(shard, "closing", ref, ordinal)) == "expired":
                self._given_back(ref, self.models[ref], ordinal)

    def _claims(self, ref: Reference, ordinal: int, claimed: bool) -> None:
        if claimed:
            model = self.models[ref]
            assert ordinal not in model.claimed, "a delivery claims one successor"
            assert model.usable
            model.claimed.add(ordinal)
            model.send_of[len(model.send_of) + 1] = model.send_of[ordinal]
