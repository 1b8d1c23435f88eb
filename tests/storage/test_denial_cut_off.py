"""A person denies a login, and the process that is told still follows a primary that another one took the place of.

It knows nothing of what was started since: a webhook that it answered with 200 would never come again.
"""

from pathlib import Path
from types import MappingProxyType

import pytest

from otp_service.domain.delivery import Accepted
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.outbox import Job
from otp_service.domain.policy import Policy
from otp_service.usecases.receive_reply import ReceiveReply, Reply

from ..conftest import wait_until
from .harness import BACKUP, POOL, SHOP, StoreHarness, fresh_number
from .servers import Address, pair
from .test_replicas import Guarded, guard

pytestmark = pytest.mark.usefixtures("patient")
POLICY = Policy(MappingProxyType({"shop": SHOP}), MappingProxyType({"pool": POOL, "backup": BACKUP}))


def told(harness: StoreHarness, number: str, event: str) -> None:
    """This process gets the webhook of a person's NO."""
    receive = ReceiveReply(
        store=harness.verifications, optouts=harness.optouts, ids=harness.ring.ids, policy=POLICY
    ).receive
    receive(Reply(event, number, None, None, "NO", None, harness.now()))


def test_a_primary_that_was_cut_off_takes_no_denial(tmp_path: Path) -> None:
    """It is refused, so that the carrier sends it again; the process that knows the new primary ends the login."""
    number = fresh_number()
    with pair(tmp_path) as (old, new):
        address = Address(old)
        behind = StoreHarness.open(f"redis://127.0.0.1:{address.port}")
        try:
            wait_until(Guarded(old, [new], behind, guard(behind)).waits_for_all, 30, "the replica takes part")
            told(behind, number, "evt-1")  # nothing to end yet, and that is no fault
            new.promote()
            ahead = StoreHarness.open(f"redis://127.0.0.1:{new.port}")
            try:
                ref = ahead.start(number).reference
                job = Job(ahead.keys.shard(ref.number_hash), "0-1", ref, 1)
                ahead.must_begin(job)
                ahead.deliveries.record_accepted(job, Accepted("msg-1", "queued"))
                with pytest.raises(StoreUnavailable):
                    told(behind, number, "evt-2")
                assert ahead.record(ref)["status"] == "pending"
                # The carrier sends it again, and by then this process has found the new primary, too.
                address.server = new
                behind.store.client.connection_pool.disconnect()
                behind.scripts.guard.on = False  # no replica follows the new one here
                told(behind, number, "evt-2")
                assert ahead.record(ref)["status"] == "denied"
            finally:
                ahead.close()
        finally:
            behind.close()
            address.close()
