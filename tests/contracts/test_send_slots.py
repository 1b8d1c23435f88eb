"""What a send took in limits and of the guard: each implementation returns it once, if it was never accepted."""

from dataclasses import replace

import pytest

from otp_service.domain.admission import OuterAnswer
from otp_service.domain.delivery import Accepted, Action, NotSent, Refused
from otp_service.domain.guard.policy import Mode
from otp_service.domain.guarding import Converted, GuardPlace
from otp_service.domain.ids import shard_of
from otp_service.domain.outbox import Job, Timer
from otp_service.domain.policy import Limit, Slot

from ..storage.harness import POOL, SHARDS, SHOP, StoreHarness, fresh_number

ALONE = replace(SHOP, route=(POOL,))
PLACE = GuardPlace("US", "aa", "bb", Mode.ENFORCE)
COUNTED = Converted("shop", "US", "aa", "bb", False, "-:1.0:na")
TAKEN = OuterAnswer(Slot("accounts", "a", Limit(2, 60_000)), 0, "1700000000000")


def end(stores: StoreHarness, job: Job, outcome: Accepted | NotSent | Refused) -> None:
    """A try that has this outcome."""
    stores.must_begin(job, ALONE)
    match outcome:
        case Accepted():
            stores.deliveries.record_accepted(job, outcome)
        case NotSent():
            stores.deliveries.record_retry(job, 500, outcome)
        case Refused():
            stores.deliveries.record_refused(job, outcome)


@pytest.mark.parametrize(
    ("outcome", "returned"),
    [(Refused("40001", "No route", Action.STOP_PERSON), 1), (Accepted("msg-1", "queued"), 0), (NotSent("x"), 0)],
)
def test_what_a_send_took_is_returned_once_it_failed(
    stores: StoreHarness, outcome: Accepted | NotSent | Refused, returned: int
) -> None:
    """To whoever claims them first; never those of a send that was accepted, or that may still be."""
    guarded = {"guard_place": PLACE, "guard": "pass", "guard_taken": "-:1.0:na"}
    ref = stores.start(fresh_number(), ALONE, send_slots=[TAKEN], **guarded).reference
    end(stores, stores.take(ref), outcome)
    due = Timer(shard_of(ref.number_hash, SHARDS), "return", ref, 1)
    assert [stores.due_deliveries.claim_guarded(due) for _ in range(2)] == [COUNTED if returned else None, None]
    assert [stores.due_deliveries.claim_slots(due) for _ in range(2)] == [[TAKEN] * returned, []]
