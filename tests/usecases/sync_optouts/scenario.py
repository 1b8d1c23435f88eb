"""One installation that reads the list: the fakes behind its ports, its clock, and what happened."""

from dataclasses import dataclass, field
from types import MappingProxyType

from otp_service.domain.optout_list import Block, OptOut
from otp_service.domain.policy import Policy, Sender, SenderKind
from otp_service.keyring import create, parse
from otp_service.usecases.sync_optouts import SyncOptouts
from tests.fakes import FakeBlockList, FakeCursors, FakeOptOuts

NOW = 1_800_000_000_000
DAY = 86_400_000
VAULT = parse(create(lambda n: bytes(range(n)), "2026-01-01T00:00:00Z"))
A, B = "profile-a", "profile-b"


def person(n: int) -> str:
    """The n-th person's number."""
    return f"+1202{2_000_000 + n}"


def hashed(n: int) -> str:
    """The n-th person's keyed hash."""
    return VAULT.ids.number_hash(person(n))


@dataclass
class Scenario:
    """One installation: what is behind the ports, and what happened."""

    source: FakeBlockList = field(default_factory=FakeBlockList)
    registry: FakeOptOuts = field(default_factory=FakeOptOuts)
    cursors: FakeCursors = field(default_factory=FakeCursors)
    now_ms: int = NOW
    counted: list[str] = field(default_factory=list)
    slept: list[float] = field(default_factory=list)
    passes: int = 0

    def use_case(self) -> SyncOptouts:
        """The use case of a fresh process."""
        senders = {
            "pool": Sender("pool", SenderKind.NUMBER_POOL, A, None, 20.0),
            "backup": Sender("backup", SenderKind.LONG_CODE, A, "+18445550001", 20.0),
            "other": Sender("other", SenderKind.LONG_CODE, B, "+18445550002", 20.0),
        }
        self.passes += 1
        return SyncOptouts(
            source=self.source,
            registry=self.registry,
            cursors=self.cursors,
            vault=VAULT,
            policy=Policy(MappingProxyType({}), MappingProxyType(senders)),
            interval_ms=900_000,
            now_ms=lambda: self.now_ms,
            token=lambda: f"pass-{self.passes}",
            count=self.counted.append,
            sleep=self.slept.append,
        )

    def run(self) -> None:
        """A pass of a process that has just started, from its beginning to its end."""
        assert self.use_case().run_if_due(starting=True, stopped=lambda: False) is not None

    def sync(self) -> dict[str, int]:
        """The command; how many opt-outs it lifted, by profile."""
        return {one.profile: one.lifted for one in self.use_case().run_now(lambda *_: None, lambda _: None)}

    def list_(self, profile: str, *people: int, at_ms: int = NOW - DAY) -> None:
        """Have people stand on the carrier's list."""
        listed = self.source.listed.setdefault(profile, [])
        listed += [Block(person(n), profile, "STOP", at_ms + n) for n in people]

    def opted_out(self, *people: int, out: bool = True, at_ms: int = NOW - DAY, source: str = "inbound") -> None:
        """People wrote to profile A."""
        for n in people:
            self.registry.known[A, hashed(n)] = OptOut(A, out, at_ms, "STOP" if out else "START", source)
