"""What else callers, persons and operators are told: receipts, cancellations, denials, opt-outs, API keys."""

import contextlib
import secrets
import threading
from collections import Counter
from collections.abc import Callable

from otp_service.domain.checking import Approved
from otp_service.domain.delivery import Accepted
from otp_service.domain.denial import Denial
from otp_service.domain.ending import Canceled, Redeemed
from otp_service.domain.errors import StoreUnavailable
from otp_service.domain.ids import Reference
from otp_service.domain.optout import Source
from otp_service.domain.optout_list import OptOut
from otp_service.domain.outbox import Job

from ..storage.api_keys import keys_of
from ..storage.harness import StoreHarness, fresh_number, word

PAUSE_S = 0.05
RECEIPT_MS = 600_000
PROFILE = "a"


class ToldOthers:
    """What they were told, which has to stay so. Safe for many threads."""

    def __init__(self) -> None:
        self.receipts: dict[Reference, str] = {}
        self.spent: list[Reference] = []
        """Each time that a receipt was redeemed for the first time."""

        self.ended: set[Reference] = set()
        """Canceled or denied."""

        self.opted_out: list[str] = []
        self.keys: list[str] = []
        self.revoked: list[str] = []

    def spent_twice(self) -> int:
        """How many receipts were redeemed for the first time more than once."""
        return sum(times > 1 for times in Counter(self.spent).values())


class Acts:
    """What one process does for them. All of it is true once it is done, and raises StoreUnavailable."""

    def __init__(self, harness: StoreHarness, told: ToldOthers) -> None:
        self._harness = harness
        self._told = told
        self._api_keys = keys_of(harness)

    def redeem(self, ref: Reference, approved: Approved) -> bool:
        """Spend the receipt of an approval."""
        self._told.receipts[ref] = approved.receipt_id
        return self.redeem_again(ref)

    def redeem_again(self, ref: Reference) -> bool:
        """As a request of its own."""
        harness, receipt = self._harness, self._told.receipts[ref]
        found = harness.verifications.redeem(word(), ref, "shop", receipt, harness.now() + RECEIPT_MS)
        if isinstance(found, Redeemed) and found.first:
            self._told.spent.append(ref)
        return True

    def cancel(self, ref: Reference) -> bool:
        """Withdraw it."""
        if isinstance(self._harness.verifications.cancel(word(), ref, "shop"), Canceled):
            self._told.ended.add(ref)
        return True

    def deny(self, ref: Reference) -> bool:
        """Send its message, and have the person deny it."""
        harness = self._harness
        job = Job(harness.keys.shard(ref.number_hash), "0-1", ref, 1)
        if harness.begin(job) is not None:
            harness.deliveries.record_accepted(job, Accepted(word("m"), "queued"))
        at = harness.now()
        denial = Denial(frozenset({"shop"}), frozenset({"pool", "backup"}), at, at)
        if harness.verifications.deny(ref, denial) == "denied":
            self._told.ended.add(ref)
        return True

    def opt_out(self) -> bool:
        """Somebody replies STOP."""
        harness, number = self._harness, fresh_number()
        entry = OptOut(PROFILE, opted_out=True, at_ms=harness.now(), keyword="STOP", source=Source.INBOUND)
        harness.optouts.record(harness.hash_of(number), "+1******0000", entry, word("event"))
        self._told.opted_out.append(harness.hash_of(number))
        return True

    def change_keys(self) -> bool:
        """Make two API keys, and revoke one of them."""
        made = [self._api_keys.create("shop", ["verify"], None) for _ in range(2)]
        self._told.keys.append(made[0].key)
        if self._api_keys.revoke(made[1].id):
            self._told.revoked.append(made[1].key)
        return True

    def forgotten(self) -> int:
        """How many opt-outs and changes of keys the store does not know."""
        optouts = [self._harness.optouts.of_number(number) for number in self._told.opted_out]
        lost = sum(not any(entry.opted_out for entry in found) for found in optouts)
        lost += sum(self._api_keys.authenticate(key) is None for key in self._told.keys)
        return lost + sum(self._api_keys.authenticate(key) is not None for key in self._told.revoked)


class Operators:
    """Persons who opt out, and operators who change API keys, on all processes."""

    def __init__(self, acts: list[Acts]) -> None:
        self._acts = acts
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def begin(self) -> None:
        """Let them."""
        self._thread.start()

    def finish(self) -> None:
        """Let them finish what they are about."""
        self._stopped.set()
        self._thread.join(60)

    def _run(self) -> None:
        while not self._stopped.wait(PAUSE_S):
            at = secrets.choice(self._acts)
            for act in (at.opt_out, at.change_keys):
                _tried(act)


def _tried(act: Callable[[], bool]) -> None:
    """Who is refused knows nothing."""
    with contextlib.suppress(StoreUnavailable):
        act()
