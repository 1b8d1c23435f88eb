"""The pumping guard over a store whose scripts go by a clock that the test moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from otp_service.domain.addresses import KeptClientIp
from otp_service.domain.checking import Approved
from otp_service.domain.guard.policy import GuardPolicy
from otp_service.domain.guarding import Places
from otp_service.domain.phone import Phone
from otp_service.domain.policy import App, Policy
from otp_service.domain.starting import Started, StartRefused
from otp_service.storage.guard import GuardBudgets
from otp_service.storage.guarded_numbers import GuardedNumbers
from otp_service.storage.safe_list import KnownSafeList, SafeListTable
from otp_service.storage.script_files import Script, Value
from otp_service.storage.scripts import Scripts
from otp_service.usecases.guard import Guard, GuardedStarts, GuardReports, Notes, SafeList

from .harness import CODE, POOL, UNCAPPED, StoreHarness, word

CLOCK = "test:clock"
_EVENT = "redis.call('XADD', audit, '*'"
_TIME = "local t = redis.call('TIME')\n  return t[1] * 1000 + math.floor(t[2] / 1000)"


class Clocked(Scripts):
    """Runs every script by the clock of the test, which a key of the store holds."""

    def _run(self, script: Script, keys: Sequence[str], args: Sequence[Value], *, repeat: bool) -> Any:
        text = script.text.replace(_TIME, f"return tonumber(redis.call('GET', '{CLOCK}'))")
        text = text.replace(_EVENT, f"{_EVENT[:-3]}redis.call('GET', '{CLOCK}') .. '-*'")
        return self._client.eval(text, len(keys), *keys, *(["", *args] if script.guarded else args))


@dataclass
class Events:
    """What would be on record."""

    found: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def record(
        self, kind: str, detail: Any, throttle_ms: int = 0, *, app: str = "", mark: str = "", number_hash: str = ""
    ) -> None:
        """Keep it."""
        self.found.append((kind, dict(detail)))


@dataclass(frozen=True)
class Request:
    """What the guard looks at of a start."""

    client_ip: str | None = None
    known_user: bool = False


class GuardedApp:
    """An app's starts and approvals, as the use cases make them."""

    def __init__(
        self,
        harness: StoreHarness,
        policy: GuardPolicy,
        *,
        sandbox: bool = False,
        kept: KeptClientIp = KeptClientIp.HASHED,
    ) -> None:
        self.harness = harness
        self.app = App("shop", "Acme", (POOL,), resend_after_ms=(), starts_per_number=(), guard=policy)
        places = Places(harness.ring.ids.digest, kept)
        table = SafeListTable(harness.store, harness.keys, KnownSafeList())
        self.events, self.alerts, self.counts = Events(), [], []  # type: ignore[var-annotated]
        self.safe_list, self.safe_table = SafeList(places, harness.hash_of, table), table
        self.numbers = GuardedNumbers(harness.scripts, harness.keys)
        self.guard = Guard(
            budgets=GuardBudgets(harness.scripts, harness.keys),
            numbers=self.numbers,
            places=places,
            safe_list=self.safe_list,
            reports=GuardReports(
                events=self.events,
                alert=lambda trouble, text: self.alerts.append((trouble, text)),
                count=lambda *what: self.counts.append(what),
            ),
            notes=Notes(),
            policy=Policy(apps={"shop": self.app}),
            sandbox=sandbox,
        )
        self.starts = GuardedStarts(harness.verifications, self.guard)
        self.latest: dict[str, Started] = {}

    def start(
        self, number: str, region: str = "US", address: str | None = None, *, known_user: bool = False, **changes: Any
    ) -> Started | StartRefused:
        """Start for a purpose of its own, so that no ladder and no cap stands between."""
        phone = Phone(number, region, 1)
        place = self.guard.place(self.app, phone, Request(address, known_user))
        made = self.harness.start_command(number, self.app, purpose=word("p"), per_number=UNCAPPED, **changes)
        outcome = self.starts.start(replace(made, guard_place=place))
        self.guard.in_background()
        if isinstance(outcome, Started):
            self.latest[number] = outcome
        return outcome

    def approve(self, number: str) -> bool:
        """Enter the right code of the latest start; whether it was approved."""
        started = self.latest.pop(number, None)
        if started is None:
            return False
        answer = self.harness.check(started.reference, CODE, self.app)
        if not isinstance(answer, Approved):
            return False
        self.guard.approved(self.app, answer)
        self.guard.in_background()
        return True


def every_guard(harness: StoreHarness) -> None:
    """Every operation of the guard that writes."""
    app = GuardedApp(harness, GuardPolicy(block_1k_in_6h=1))
    assert isinstance(app.start("+12025557001", address="192.0.2.9"), Started)
    assert isinstance(app.start("+12025557002", address="192.0.2.9"), StartRefused)
    place = app.guard.place(app.app, Phone("+12025558003", "US", 1), Request("192.0.2.9"))
    assert place is not None
    # What a Cluster does: there the scripts of a start and of a check reach no budget.
    verdict = app.guard.take(app.app, place)
    assert verdict is not None
    app.guard.unused(app.app, place, verdict)
    assert app.approve("+12025557001")
    started = app.start("+12025557001")
    assert isinstance(started, Started)
    app.numbers.complete(started.reference, "shop", app.app.guard)
    app.safe_table.add("country:CA", "test")
    app.safe_table.remove("country:CA")
    app.safe_table.add("country:US", "test")
